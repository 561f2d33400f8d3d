//! Where a brace stands that may open a variable: anywhere in a text; in a regular expression, where its own syntax leaves off.

use super::TemplateError;

/// Walks over a text from brace to brace.
#[derive(Debug)]
pub(super) struct Scan {
    pattern: bool,
    /// How deep in brackets of a regular expression.
    class: u32,
}

impl Scan {
    /// Of a text: every brace.
    pub(super) const fn text() -> Self {
        Self { pattern: false, class: 0 }
    }

    /// Of a regular expression: not `\{`, nor those of `\p{Greek}`, `\x{2764}` and `\b{start}`.
    pub(super) const fn pattern() -> Self {
        Self { pattern: true, class: 0 }
    }

    /// Whether the last brace found stands in brackets, as in `[{a}]`.
    pub(super) const fn in_class(&self) -> bool {
        self.class > 0
    }

    /// The remedy for a variable nobody knows: the text itself is written otherwise in a regular expression.
    pub(super) fn remedy(&self, inner: &str, error: TemplateError) -> TemplateError {
        if !self.pattern {
            return error;
        }
        TemplateError { help: error.help.replace(&format!("{{{{{inner}}}}}"), &format!("\\{{{inner}\\}}")), ..error }
    }

    /// The place of the next brace in `text`, which goes on where the last one's left off.
    pub(super) fn brace(&mut self, text: &str) -> Option<usize> {
        if !self.pattern {
            return text.find('{');
        }
        let bytes = text.as_bytes();
        let mut i = 0;
        while let Some(byte) = bytes.get(i) {
            match byte {
                b'{' => return Some(i),
                b'\\' => i = escape_end(text, i),
                b'[' => {
                    self.class += 1;
                    i += 1;
                    i += usize::from(bytes.get(i) == Some(&b'^'));
                    // First in brackets, it is itself.
                    i += usize::from(bytes.get(i) == Some(&b']'));
                }
                b']' => {
                    self.class = self.class.saturating_sub(1);
                    i += 1;
                }
                _ => i += 1,
            }
        }
        None
    }
}

/// Behind the escape whose backslash stands at `at`.
fn escape_end(text: &str, at: usize) -> usize {
    let named = text.as_bytes().get(at + 1).is_some_and(|b| b"pPxuUb".contains(b)) && text.as_bytes().get(at + 2) == Some(&b'{');
    if named { text[at + 2..].find('}').map_or(text.len(), |end| at + 3 + end) } else { at + 2 }
}
