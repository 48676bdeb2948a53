//! What a CRM that runs a class gets of a call: class, constants and the caller's number, as one form.

use url::form_urlencoded::Serializer;

use crate::call::PhoneNumber;

/// A form with a place for the number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallForm {
    /// Everything in front of the number, encoded.
    before: String,
    number_parameter: String,
}

impl CallForm {
    /// A form that runs `class`: its constants in their order, the number last, as `number_parameter`.
    #[must_use]
    pub fn new(class: &str, parameters: &[(String, String)], number_parameter: &str) -> Self {
        let mut form = Serializer::new(String::new());
        form.append_pair("class", class);
        form.extend_pairs(parameters);
        Self {
            before: form.finish(),
            number_parameter: number_parameter.to_owned(),
        }
    }

    /// The form for a caller: `application/x-www-form-urlencoded`, in UTF-8. No credentials, and nothing that says which
    /// action of the CRM is to read it: frozen with a call, it must survive a change of these.
    #[must_use]
    pub fn of(&self, caller: &PhoneNumber) -> String {
        self.filled(caller.as_str())
    }

    /// The same for any text, such as a word that stands for the number.
    #[must_use]
    pub fn filled(&self, text: &str) -> String {
        Serializer::for_suffix(self.before.clone(), 0)
            .append_pair(&self.number_parameter, text)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_these_bytes_whatever_stands_in_it() {
        let constants = [("sub", "dnd&operator=1"), ("queue", "línea 1")];
        let constants = constants.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let form = CallForm::new("org.example.CallBack", &constants, "aon");
        assert_eq!(
            form.of(&PhoneNumber("+58 212&class=x".to_owned())),
            "class=org.example.CallBack&sub=dnd%26operator%3D1&queue=l%C3%ADnea+1&aon=%2B58+212%26class%3Dx"
        );
    }
}
