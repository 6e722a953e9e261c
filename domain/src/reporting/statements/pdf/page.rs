//! Pages with tables. Everything is placed first and drawn when the number of pages is known.

use super::text::{Fonts, Weight};
use crate::{Error, Result};
use krilla::{
    Document, SerializeSettings,
    color::rgb,
    geom::{PathBuilder, Point, Rect},
    metadata::Metadata,
    num::NormalizedF32,
    page::PageSettings,
    paint::{Fill, FillRule},
    surface::Surface,
};

/// US Letter, in points.
pub const WIDTH: f32 = 612.0;
const HEIGHT: f32 = 792.0;
pub const MARGIN: f32 = 46.0;
/// Where the text of a page ends.
const BOTTOM: f32 = 732.0;
/// Where the text of a page after the first starts.
const TOP: f32 = 66.0;

/// Color of a text or an area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    Ink,
    Muted,
    Accent,
    Line,
    Panel,
}

impl Color {
    fn fill(self) -> Fill {
        let color = match self {
            Self::Ink => rgb::Color::new(0x1b, 0x24, 0x33),
            Self::Muted => rgb::Color::new(0x5f, 0x6b, 0x7e),
            Self::Accent => rgb::Color::new(0x17, 0x4a, 0x7c),
            Self::Line => rgb::Color::new(0xd8, 0xde, 0xe6),
            Self::Panel => rgb::Color::new(0xf1, 0xf5, 0xf9),
        };
        Fill { paint: color.into(), opacity: NormalizedF32::ONE, rule: FillRule::NonZero }
    }
}

/// Size, weight and color of a text.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    pub size: f32,
    pub weight: Weight,
    pub color: Color,
}

pub const BODY: Style = Style { size: 8.2, weight: Weight::Regular, color: Color::Ink };
pub const STRONG: Style = Style { weight: Weight::Medium, ..BODY };
pub const SMALL: Style = Style { size: 7.2, weight: Weight::Regular, color: Color::Muted };
const HEADING: Style = Style { size: 11.5, weight: Weight::Medium, color: Color::Accent };
const COLUMN_TITLE: Style = Style { size: 7.2, weight: Weight::Medium, color: Color::Muted };

/// Distance between the lines of a cell, and space above and below its text.
const LEADING: f32 = 10.4;
const PADDING: f32 = 3.3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
}

/// Column of a table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    pub title: &'static str,
    pub width: f32,
    pub align: Align,
}

/// Row of a table.
pub struct Row {
    pub cells: Vec<String>,
    pub is_strong: bool,
}

enum Mark {
    Text { x: f32, y: f32, text: String, style: Style },
    Area { x: f32, y: f32, width: f32, height: f32, color: Color },
}

/// Pages that are being laid out.
pub struct Layout<'a> {
    fonts: &'a Fonts,
    pages: Vec<Vec<Mark>>,
    /// Where the next part of the last page starts.
    pub y: f32,
}

impl<'a> Layout<'a> {
    pub fn new(fonts: &'a Fonts) -> Self {
        Self { fonts, pages: vec![Vec::new()], y: TOP }
    }

    fn mark(&mut self, mark: Mark) {
        if let Some(page) = self.pages.last_mut() {
            page.push(mark);
        }
    }

    fn break_page(&mut self) {
        self.pages.push(Vec::new());
        self.y = TOP;
    }

    pub fn area(&mut self, x: f32, y: f32, width: f32, height: f32, color: Color) {
        self.mark(Mark::Area { x, y, width, height, color });
    }

    /// Places a text with its baseline at `y`; `x` is its left or right end.
    pub fn text(&mut self, x: f32, y: f32, align: Align, text: &str, style: Style) {
        let face = self.fonts.of(style.weight);
        let text = face.printable(text);
        let x = match align {
            Align::Left => x,
            Align::Right => x - face.width(&text, style.size),
        };
        self.mark(Mark::Text { x, y, text, style });
    }

    /// Places a text of several lines below `y`; returns where it ends.
    pub fn paragraph(&mut self, x: f32, y: f32, width: f32, text: &str, style: Style) -> f32 {
        let face = self.fonts.of(style.weight);
        let mut y = y;
        for line in face.lines(&face.printable(text), style.size, width) {
            y += style.size * 1.35;
            self.text(x, y, Align::Left, &line, style);
        }
        y
    }

    /// Places a text below everything, on the next page if it does not fit.
    pub fn note(&mut self, text: &str) {
        let face = self.fonts.of(SMALL.weight);
        let lines = face.lines(&face.printable(text), SMALL.size, WIDTH - 2.0 * MARGIN).len();
        let lines = u16::try_from(lines).map_or(f32::MAX, f32::from);
        if self.y + lines * SMALL.size * 1.35 > BOTTOM {
            self.break_page();
        }
        self.y = self.paragraph(MARGIN, self.y, WIDTH - 2.0 * MARGIN, text, SMALL) + 4.0;
    }

    /// Places a table with a heading below everything. Its column titles are repeated on each page.
    pub fn table(&mut self, title: &str, columns: &[Column], rows: &[Row]) {
        let first = rows.first().map_or(0.0, |row| self.height(columns, row));
        self.y += 20.0;
        if self.y + 34.0 + first > BOTTOM {
            self.break_page();
        }
        self.head(title, columns);
        for row in rows {
            let height = self.height(columns, row);
            if self.y + height > BOTTOM {
                self.break_page();
                self.head(&format!("{title} (continued)"), columns);
            }
            self.row(columns, row, height);
        }
    }

    fn head(&mut self, title: &str, columns: &[Column]) {
        self.text(MARGIN, self.y + HEADING.size, Align::Left, title, HEADING);
        let y = self.y + HEADING.size + 16.0;
        let mut x = MARGIN;
        for column in columns {
            let end = if column.align == Align::Left { x } else { x + column.width };
            self.text(end, y, column.align, column.title, COLUMN_TITLE);
            x += column.width;
        }
        self.area(MARGIN, y + 4.2, WIDTH - 2.0 * MARGIN, 0.9, Color::Accent);
        self.y = y + 5.1;
    }

    fn style(row: &Row) -> Style {
        if row.is_strong { STRONG } else { BODY }
    }

    fn lines(&self, column: &Column, cell: &str, style: Style) -> Vec<String> {
        let face = self.fonts.of(style.weight);
        face.lines(&face.printable(cell), style.size, column.width - 4.0)
    }

    fn height(&self, columns: &[Column], row: &Row) -> f32 {
        let style = Self::style(row);
        let lines =
            columns.iter().zip(&row.cells).map(|(column, cell)| self.lines(column, cell, style).len());
        let lines = lines.max().unwrap_or(1);
        u16::try_from(lines).map_or(1.0, f32::from) * LEADING + 2.0 * PADDING
    }

    fn row(&mut self, columns: &[Column], row: &Row, height: f32) {
        let style = Self::style(row);
        if row.is_strong {
            self.area(MARGIN, self.y, WIDTH - 2.0 * MARGIN, height, Color::Panel);
        }
        let mut x = MARGIN;
        for (column, cell) in columns.iter().zip(&row.cells) {
            let mut y = self.y + PADDING + style.size;
            let end = if column.align == Align::Left { x } else { x + column.width };
            for line in self.lines(column, cell, style) {
                self.text(end, y, column.align, &line, style);
                y += LEADING;
            }
            x += column.width;
        }
        self.y += height;
        self.area(MARGIN, self.y - 0.4, WIDTH - 2.0 * MARGIN, 0.4, Color::Line);
    }

    /// Draws the pages, each with a footer, and all but the first with a header.
    pub fn finish(mut self, header: &str, footer: &str, metadata: Metadata) -> Result<Vec<u8>> {
        let pages = self.pages.len();
        let all = std::mem::take(&mut self.pages);
        let mut document =
            Document::new_with(SerializeSettings { enable_tagging: false, ..SerializeSettings::default() });
        document.set_metadata(metadata);
        for (number, marks) in (1..).zip(all) {
            self.pages = vec![marks];
            self.frame(header, footer, number, pages);
            let settings = PageSettings::from_wh(WIDTH, HEIGHT);
            let settings = settings.ok_or_else(|| Error::broken("a page has no size"))?;
            let mut page = document.start_page_with(settings);
            let mut surface = page.surface();
            for mark in self.pages.iter().flatten() {
                draw(&mut surface, self.fonts, mark);
            }
            surface.finish();
            page.finish();
        }
        document.finish().map_err(|_| Error::broken("a statement cannot be written as PDF"))
    }

    fn frame(&mut self, header: &str, footer: &str, number: usize, pages: usize) {
        let end = WIDTH - MARGIN;
        self.area(0.0, 0.0, WIDTH, 7.0, Color::Accent);
        if number > 1 {
            self.text(MARGIN, 40.0, Align::Left, header, SMALL);
            self.area(MARGIN, 47.0, end - MARGIN, 0.4, Color::Line);
        }
        self.area(MARGIN, 746.0, end - MARGIN, 0.4, Color::Line);
        self.text(MARGIN, 758.0, Align::Left, footer, SMALL);
        self.text(end, 758.0, Align::Right, &format!("Page {number} of {pages}"), SMALL);
    }
}

fn draw(surface: &mut Surface<'_>, fonts: &Fonts, mark: &Mark) {
    match mark {
        Mark::Text { x, y, text, style } => {
            let face = fonts.of(style.weight);
            surface.set_fill(Some(style.color.fill()));
            let start = Point::from_xy(*x, *y);
            surface.draw_glyphs(start, &face.glyphs(text), face.font.clone(), text, style.size, false);
        }
        Mark::Area { x, y, width, height, color } => {
            let mut path = PathBuilder::new();
            if let Some(area) = Rect::from_xywh(*x, *y, *width, *height) {
                path.push_rect(area);
            }
            if let Some(path) = path.finish() {
                surface.set_fill(Some(color.fill()));
                surface.draw_path(&path);
            }
        }
    }
}
