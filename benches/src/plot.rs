//! Plots of cost as work grows, as SVG: both axes logarithmic, so that what is flat is flat and what grows with the work rises.

use std::fmt::Write as _;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 170.0;
const TOP: f64 = 36.0;
const BOTTOM: f64 = 48.0;
const COLOURS: [&str; 6] = ["#2563eb", "#9ca3af", "#d97706", "#059669", "#dc2626", "#7c3aed"];

/// A line: a name, and its points in the order of their x.
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// A plot with these lines; `None` where there is nothing to show. All values must be above 0.
pub(crate) fn svg(title: &str, x_name: &str, y_name: &str, lines: &[Line]) -> Option<String> {
    let x = Axis::of(lines.iter().flat_map(|line| line.points.iter().map(|point| point.0)))?;
    let y = Axis::of(lines.iter().flat_map(|line| line.points.iter().map(|point| point.1)))?;
    let at_x = |value: f64| LEFT + x.part(value) * (WIDTH - LEFT - RIGHT);
    let at_y = |value: f64| HEIGHT - BOTTOM - y.part(value) * (HEIGHT - TOP - BOTTOM);
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n<text x=\"{LEFT}\" y=\"20\" font-size=\"14\">{title}</text>\n"
    );
    for tick in x.ticks() {
        let (at, name) = (at_x(tick), short(tick));
        let _ = writeln!(svg, "<path d=\"M{at:.1} {TOP}V{bottom}\" stroke=\"#e5e7eb\"/>");
        let _ = writeln!(svg, "<text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{name}</text>", bottom + 16.0);
    }
    for tick in y.ticks() {
        let (at, name) = (at_y(tick), short(tick));
        let _ = writeln!(svg, "<path d=\"M{LEFT} {at:.1}H{right}\" stroke=\"#e5e7eb\"/>");
        let _ = writeln!(svg, "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{name}</text>", LEFT - 6.0, at + 4.0);
    }
    let middle = f64::midpoint(LEFT, right);
    let _ = writeln!(svg, "<text x=\"{middle}\" y=\"{:.1}\" text-anchor=\"middle\">{x_name}</text>", HEIGHT - 12.0);
    let _ = writeln!(
        svg,
        "<text transform=\"translate(16 {:.1}) rotate(-90)\" text-anchor=\"middle\">{y_name}</text>",
        f64::midpoint(TOP, bottom)
    );
    for ((line, colour), number) in lines.iter().zip(COLOURS.iter().cycle()).zip(0_u8..) {
        let points: Vec<_> = line.points.iter().map(|&(x, y)| format!("{:.1},{:.1}", at_x(x), at_y(y))).collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            points.join(" ")
        );
        for &(x, y) in &line.points {
            let _ = writeln!(svg, "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"/>", at_x(x), at_y(y));
        }
        let at = TOP + 12.0 + 18.0 * f64::from(number);
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{at:.1}\" fill=\"{colour}\" font-weight=\"bold\">{}</text>",
            right + 10.0,
            line.name
        );
    }
    svg.push_str("</svg>\n");
    Some(svg)
}

/// From one power of ten to another.
struct Axis {
    low: i32,
    high: i32,
}

impl Axis {
    fn of(values: impl Iterator<Item = f64> + Clone) -> Option<Self> {
        let usable = values.filter(|value| *value > 0.0 && value.is_finite());
        let low = usable.clone().min_by(f64::total_cmp)?;
        let high = usable.max_by(f64::total_cmp)?;
        #[expect(clippy::cast_possible_truncation, reason = "powers of ten of finite numbers are small")]
        let power = |value: f64| value as i32;
        let low = power(low.log10().floor());
        Some(Self { low, high: power(high.log10().ceil()).max(low + 1) })
    }

    fn part(&self, value: f64) -> f64 {
        (value.log10() - f64::from(self.low)) / f64::from(self.high - self.low)
    }

    fn ticks(&self) -> impl Iterator<Item = f64> {
        (self.low..=self.high).map(|power| 10_f64.powi(power))
    }
}

fn short(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{}M", value / 1e6),
        value if value >= 1e4 => format!("{}k", value / 1e3),
        value => format!("{value}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_flat_is_flat() {
        let line = |name: &str, points: &[(f64, f64)]| Line { name: name.to_owned(), points: points.to_vec() };
        let svg = svg("t", "x", "y", &[line("flat", &[(10.0, 2.0), (10_000.0, 2.0)])]).unwrap();
        let points = svg.split("points=\"").nth(1).unwrap().split('"').next().unwrap();
        let ys: Vec<_> = points.split(' ').map(|point| point.split_once(',').unwrap().1).collect();
        assert_eq!(ys[0], ys[1], "{points}");
        assert!(svg.contains(">10k<"));
        assert_eq!(super::svg("t", "x", "y", &[line("none", &[])]), None);
    }
}
