//! From when until when a certificate is valid. Nothing in TLS needs it on the server's side, so no library here tells.

/// Start and end in milliseconds since the Unix epoch, from the certificate's DER.
pub(super) fn valid_ms(der: &[u8]) -> Option<(u64, u64)> {
    const SEQUENCE: u8 = 0x30;
    const VERSION: u8 = 0xa0;
    let (tag, certificate, _) = element(der)?;
    let (_, mut rest, _) = element((tag == SEQUENCE).then_some(certificate)?)?;
    if rest.first() == Some(&VERSION) {
        rest = element(rest)?.2;
    }
    // Serial number, algorithm, issuer.
    for _ in 0..3 {
        rest = element(rest)?.2;
    }
    let (_, validity, _) = element(rest)?;
    let (from_tag, from, rest) = element(validity)?;
    let (until_tag, until, _) = element(rest)?;
    Some((time_ms(from_tag, from)?, time_ms(until_tag, until)?))
}

/// The first element: its tag, what is in it, and what comes after it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (len, rest) = match first {
        short if short < 0x80 => (usize::from(short), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0, |len, byte| len << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(len)?;
    Some((tag, content, rest))
}

/// `YYMMDDHHMMSSZ` (UTCTime, 1950 to 2049) or `YYYYMMDDHHMMSSZ` (GeneralizedTime).
fn time_ms(tag: u8, text: &[u8]) -> Option<u64> {
    const UTC_TIME: u8 = 0x17;
    const GENERALIZED_TIME: u8 = 0x18;
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let number = |from: usize, len: usize| text.get(from..from + len)?.parse::<u32>().ok();
    let (year, at) = match (tag, text.len()) {
        (UTC_TIME, 12) => (number(0, 2).map(|year| if year < 50 { 2_000 + year } else { 1_900 + year })?, 2),
        (GENERALIZED_TIME, 14) => (number(0, 4)?, 4),
        _ => return None,
    };
    let [month, day, hour, minute, second] = [0, 2, 4, 6, 8].map(|offset| number(at + offset, 2));
    let days = days_since_1970(i64::from(year), i64::from(month?), i64::from(day?));
    let seconds = ((days * 24 + i64::from(hour?)) * 60 + i64::from(minute?)) * 60 + i64::from(second?);
    // Before 1970 is as good as 1970 here.
    Some(u64::try_from(seconds).unwrap_or(0) * 1_000)
}

/// Of a date of the Gregorian calendar; years begin in March here, so that a leap day comes last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    #[test]
    fn both_ends_are_found() {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        // The second is past what a UTCTime can say.
        for (from, until, want) in [
            (date_time_ymd(2024, 2, 29), date_time_ymd(2027, 12, 31), (1_709_164_800_000, 1_830_211_200_000)),
            (date_time_ymd(2000, 3, 1), date_time_ymd(2100, 1, 1), (951_868_800_000, 4_102_444_800_000)),
        ] {
            params.not_before = from;
            params.not_after = until;
            let der = params.self_signed(&key).unwrap().der().to_vec();
            assert_eq!(valid_ms(&der), Some(want));
            // Half of it has no dates, or the same ones.
            for len in 0..der.len() {
                assert!(valid_ms(&der[..len]).is_none_or(|found| found == want));
            }
        }
    }
}
