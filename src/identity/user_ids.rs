//! Ids of users that are made by their name, of the form clients of the published API know: `mia_li_3668`.

use rules::{Result, UserId};

use super::{Identity, secrets};

/// The most letters a name gives to an id.
const LETTERS_MAX: usize = 40;

impl Identity {
    /// A new id. That it is free is very likely and not sure: making the user says.
    ///
    /// # Errors
    /// `Internal` when the operating system gives no randomness.
    pub fn new_user_id(&self, first_name: &str, last_name: &str) -> Result<UserId> {
        let number = u32::from_be_bytes(secrets::random()?);
        let words = [first_name, last_name].map(word);
        let words: Vec<&str> = words
            .iter()
            .map(String::as_str)
            .filter(|word| !word.is_empty())
            .collect();
        let name = match words[..] {
            [] => "user".to_owned(),
            _ => words.join("_"),
        };
        UserId::parse(&format!("{name}_{number:010}"))
    }
}

/// The letters and digits that an id can hold.
fn word(name: &str) -> String {
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    letters
        .take(LETTERS_MAX)
        .collect::<String>()
        .to_ascii_lowercase()
}
