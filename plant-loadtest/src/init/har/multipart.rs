//! Fields of multipart bodies that are recorded as text.

/// A field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Name of the file that it uploads.
    pub file: Option<String>,
    /// Its content type.
    pub content_type: Option<String>,
    /// Its value.
    pub value: String,
}

/// Reads the fields of `text`; `None` if it is not a multipart body of this content type.
pub fn fields(text: &str, content_type: &str) -> Option<Vec<Field>> {
    let boundary = content_type.split(';').find_map(|part| parameter(part, "boundary"))?;
    let text = text.replace("\r\n", "\n");
    let delimiter = format!("--{boundary}");
    let mut parts = text.split(&delimiter);
    if boundary.is_empty() || !parts.next()?.trim().is_empty() {
        return None;
    }
    let mut fields = Vec::new();
    for part in parts {
        if part.starts_with("--") {
            return Some(fields);
        }
        fields.push(field(part.strip_prefix('\n')?)?);
    }
    None
}

fn field(part: &str) -> Option<Field> {
    let (headers, value) = part.split_once("\n\n")?;
    let mut field = Field { value: value.strip_suffix('\n')?.to_owned(), ..Field::default() };
    for header in headers.lines() {
        let (name, text) = header.split_once(':')?;
        match name.trim().to_ascii_lowercase().as_str() {
            "content-disposition" => {
                field.name = text.split(';').find_map(|part| parameter(part, "name"))?.to_owned();
                let file = text.split(';').find_map(|part| parameter(part, "filename"));
                field.file = file.map(str::to_owned);
            }
            "content-type" => field.content_type = Some(text.trim().to_owned()),
            _ => {}
        }
    }
    (!field.name.is_empty()).then_some(field)
}

/// The value of `name="value"`.
fn parameter<'t>(part: &'t str, name: &str) -> Option<&'t str> {
    let (key, value) = part.split_once('=')?;
    key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_multipart_text_is_read_as_its_fields() {
        let text = "--X\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n2\r\n--X\r\n\
                    Content-Disposition: form-data; name=\"f\"; filename=\"b.txt\"\r\n\
                    Content-Type: text/plain\r\n\r\nhello\r\n--X--\r\n";
        let fields = fields(text, "multipart/form-data; boundary=X").unwrap();
        let names: Vec<_> = fields.iter().map(|field| (&*field.name, &*field.value)).collect();
        assert_eq!(names, [("a", "1\n2"), ("f", "hello")]);
        assert_eq!(fields[1].file.as_deref(), Some("b.txt"));
    }

    #[test]
    fn a_text_that_is_no_multipart_body_is_not_read() {
        for text in ["", "password=x", "--X\r\n\r\n1\r\n--X--", "--X\r\nContent-Disposition: a\r\n"]
        {
            assert_eq!(fields(text, "multipart/form-data; boundary=X"), None, "{text}");
        }
        assert_eq!(fields("----", "multipart/form-data"), None);
    }
}
