//! The form to sign in or up.

use super::compose::Field;
use super::say::Cmd;

/// The form.
#[derive(Debug, Default)]
pub(crate) struct Form {
    /// Whether an account is to be made.
    pub(crate) is_new: bool,
    /// Handle, password, and the password once more.
    pub(crate) fields: [Field; 3],
    /// Which of them has the cursor.
    pub(crate) at: usize,
    /// An answer is waited for.
    pub(crate) busy: bool,
    /// What went wrong.
    pub(crate) error: Option<String>,
}

/// What the fields are called.
pub(crate) const LABELS: [&str; 3] = ["Handle", "Password", "Again"];

impl Form {
    /// How many fields there are just now.
    pub(crate) fn len(&self) -> usize {
        if self.is_new { 3 } else { 2 }
    }

    pub(crate) fn field(&mut self) -> &mut Field {
        let at = self.at.min(2);
        &mut self.fields[at]
    }

    /// The other of signing in and up.
    pub(crate) fn turn(&mut self) {
        self.is_new = !self.is_new;
        self.error = None;
        self.at = self.at.min(self.len() - 1);
    }

    pub(crate) fn step(&mut self, back: bool) {
        let len = self.len();
        self.at = if back { (self.at + len - 1) % len } else { (self.at + 1) % len };
    }

    /// Goes on to the first field that is empty, or sends the form off.
    pub(crate) fn enter(&mut self) -> Option<Cmd> {
        if self.busy {
            return None;
        }
        if let Some(empty) = (0..self.len()).find(|at| self.fields[*at].is_empty()) {
            self.at = empty;
            return None;
        }
        let [handle, password, again] = &self.fields;
        if self.is_new && password != again && password.text() != again.text() {
            self.error = Some("The two passwords are not the same.".to_owned());
            self.at = 1;
            return None;
        }
        let (handle, password) = (handle.text().trim().trim_start_matches('@').to_owned(), password.text().to_owned());
        (self.busy, self.error) = (true, None);
        Some(Cmd::SignIn { handle, password, is_new: self.is_new })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(form: &mut Form, texts: [&str; 3]) {
        form.fields = texts.map(Field::with);
    }

    #[test]
    fn enter_goes_where_something_is_missing_and_then_off() {
        let mut form = Form::default();
        fill(&mut form, ["kim", "", ""]);
        assert_eq!(form.enter(), None);
        assert_eq!(form.at, 1);
        fill(&mut form, [" @kim", "secret", ""]);
        let (handle, password) = ("kim".to_owned(), "secret".to_owned());
        assert_eq!(form.enter(), Some(Cmd::SignIn { handle, password, is_new: false }));
        assert_eq!(form.enter(), None, "it is on its way");
    }

    #[test]
    fn a_new_password_is_typed_twice() {
        let mut form = Form::default();
        form.turn();
        fill(&mut form, ["kim", "secret", "secrets"]);
        assert_eq!(form.enter(), None);
        assert!(form.error.is_some());
        fill(&mut form, ["kim", "secret", "secret"]);
        assert!(form.enter().is_some());
    }
}
