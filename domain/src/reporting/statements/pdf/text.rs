//! Text in the embedded fonts: which glyphs it has, how wide it is, and where its lines break.

use crate::{Error, Result};
use any_ascii::any_ascii_char;
use krilla::text::{Font, GlyphId, KrillaGlyph};
use skrifa::{
    FontRef, MetadataProvider,
    charmap::Charmap,
    instance::{LocationRef, Size},
    metrics::GlyphMetrics,
};

/// Roboto, a part of its characters; see `domain/fonts/README.md`.
const REGULAR: &[u8] = include_bytes!("../../../../fonts/Roboto-Regular.ttf");
const MEDIUM: &[u8] = include_bytes!("../../../../fonts/Roboto-Medium.ttf");

/// Weight of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    Regular,
    Medium,
}

/// A font, for drawing and for measuring.
pub struct Face {
    pub font: Font,
    charmap: Charmap<'static>,
    metrics: GlyphMetrics<'static>,
    units_per_em: f32,
}

/// Fonts of a document.
pub struct Fonts {
    regular: Face,
    medium: Face,
}

impl Face {
    fn read(data: &'static [u8]) -> Result<Self> {
        let unreadable = || Error::broken("an embedded font cannot be read");
        let font = Font::new(data.into(), 0).ok_or_else(unreadable)?;
        let read = FontRef::new(data).map_err(|_| unreadable())?;
        let units_per_em = read.metrics(Size::unscaled(), LocationRef::default()).units_per_em;
        Ok(Self {
            font,
            charmap: read.charmap(),
            metrics: read.glyph_metrics(Size::unscaled(), LocationRef::default()),
            units_per_em: f32::from(units_per_em),
        })
    }

    /// Returns the glyph of a character and its width in ems, if the font has it.
    fn glyph(&self, character: char) -> Option<(GlyphId, f32)> {
        let glyph = self.charmap.map(character)?;
        let width = self.metrics.advance_width(glyph).unwrap_or_default();
        Some((GlyphId::new(glyph.to_u32()), width / self.units_per_em))
    }

    /// Returns the glyphs of a text.
    pub fn glyphs(&self, text: &str) -> Vec<KrillaGlyph> {
        let glyph = |(at, character): (usize, char)| {
            let (id, width) = self.glyph(character)?;
            Some(KrillaGlyph::new(id, width, 0.0, 0.0, 0.0, at..at + character.len_utf8(), None))
        };
        text.char_indices().filter_map(glyph).collect()
    }

    /// Returns a text with the characters that the font lacks written in ASCII.
    pub fn printable(&self, text: &str) -> String {
        let mut printable = String::with_capacity(text.len());
        for character in text.chars() {
            match self.glyph(character) {
                Some(_) => printable.push(character),
                None => printable.push_str(any_ascii_char(character)),
            }
        }
        printable
    }

    /// Returns the width of a text in points.
    pub fn width(&self, text: &str, size: f32) -> f32 {
        let ems: f32 =
            text.chars().filter_map(|character| self.glyph(character)).map(|(_, width)| width).sum();
        ems * size
    }

    /// Returns the lines of a text that fit into a width. Words that do not fit are broken.
    pub fn lines(&self, text: &str, size: f32, width: f32) -> Vec<String> {
        let mut lines = vec![String::new()];
        for word in text.split_whitespace() {
            let line = lines.last().map_or("", String::as_str);
            let longer = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
            if self.width(&longer, size) <= width {
                lines.pop();
                lines.push(longer);
            } else if self.width(word, size) <= width {
                lines.push(word.to_owned());
            } else {
                self.broken(word, size, width, &mut lines);
            }
        }
        if lines.len() > 1 {
            lines.retain(|line| !line.is_empty());
        }
        lines
    }

    /// Adds the pieces of a long word, each on a line of its own.
    fn broken(&self, word: &str, size: f32, width: f32, lines: &mut Vec<String>) {
        lines.push(String::new());
        for character in word.chars() {
            let line = lines.last().map_or("", String::as_str);
            let longer = format!("{line}{character}");
            if line.is_empty() || self.width(&longer, size) <= width {
                lines.pop();
                lines.push(longer);
            } else {
                lines.push(character.to_string());
            }
        }
    }
}

impl Fonts {
    pub fn read() -> Result<Self> {
        Ok(Self { regular: Face::read(REGULAR)?, medium: Face::read(MEDIUM)? })
    }

    pub const fn of(&self, weight: Weight) -> &Face {
        match weight {
            Weight::Regular => &self.regular,
            Weight::Medium => &self.medium,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fit_and_lose_nothing() {
        let fonts = Fonts::read().unwrap();
        let face = fonts.of(Weight::Regular);
        let cases = [
            ("", 100.0, vec![""]),
            ("one two", 100.0, vec!["one two"]),
            ("one two three", 40.0, vec!["one two", "three"]),
            ("averyverylongword", 40.0, vec!["averyve", "rylongw", "ord"]),
            ("a averyverylongword b", 40.0, vec!["a", "averyve", "rylongw", "ord b"]),
        ];
        for (text, width, expected) in cases {
            let lines = face.lines(text, 10.0, width);
            assert_eq!(lines, expected, "{text}");
            assert!(lines.iter().all(|line| face.width(line, 10.0) <= width), "{text}");
        }
    }

    #[test]
    fn characters_without_a_glyph_are_written_in_ascii() {
        let fonts = Fonts::read().unwrap();
        let face = fonts.of(Weight::Medium);
        for (text, expected) in [("Zoë Šimić", "Zoë Šimić"), ("Ωμέγα", "Ωμέγα"), ("東京", "DongJing")]
        {
            let printable = face.printable(text);
            assert_eq!(printable, expected);
            assert_eq!(face.glyphs(&printable).len(), printable.chars().count(), "{text}");
        }
    }
}
