//! Charts as SVG: a row for each contestant, in panels one below the other.
//!
//! Texts stay texts, so no font is needed to draw them, and whoever searches the file finds the
//! names and the numbers. The same figures give the same bytes.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::failure::Result;

const WIDTH: u32 = 900;
/// Pixels of the title with what the colours mean, of a panel's title, of a row, of the axis.
const HEAD: u32 = 54;
const PANEL_HEAD: u32 = 24;
const ROW: u32 = 22;
const AXIS: u32 = 34;
/// Pixels left of the rows for names, and right of them for numbers.
const NAMES: u32 = 190;
const NUMBERS: u32 = 170;
/// Half of a bar, in rows.
const HALF: f64 = 0.34;
/// Between a name or a number and what it belongs to.
const GAP: i32 = 8;

const OURS: RGBColor = RGBColor(24, 78, 160);
const LIMIT: RGBColor = RGBColor(128, 128, 128);
const PEER: RGBColor = RGBColor(219, 143, 58);

/// Panels below a title.
pub struct Chart {
    pub title: String,
    pub scale: Scale,
    pub panels: Vec<Panel>,
}

/// What a row looks like, and along which axis.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// A bar as long as the one value, from zero.
    Bars,
    /// A dot for each value, on a logarithmic axis.
    Dots,
}

/// Rows that share an axis.
pub struct Panel {
    pub title: String,
    pub rows: Vec<Row>,
}

/// One contestant.
pub struct Row {
    pub name: String,
    pub side: Side,
    /// One for a bar; all of them more than nothing for dots.
    pub values: Vec<f64>,
    /// The least and the most of the rounds.
    pub rounds: Option<(f64, f64)>,
    /// The values in words.
    pub told: String,
}

/// Whose row it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Ours,
    /// What the machine can do without a store.
    Limit,
    Peer,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

impl Chart {
    /// The chart as an SVG document.
    pub fn draw(&self) -> Result<String> {
        let mut svg = String::new();
        let mut height = HEAD;
        for panel in &self.panels {
            height += panel.height()?;
        }
        {
            let root = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
            root.fill(&WHITE)?;
            let (head, mut rest) = root.split_vertically(HEAD);
            self.head(&head)?;
            for panel in &self.panels {
                let (area, below) = rest.split_vertically(panel.height()?);
                panel.draw(&area, self.scale)?;
                rest = below;
            }
            root.present()?;
        }
        Ok(svg)
    }

    fn head(&self, area: &Area<'_>) -> Result<()> {
        let text = style(16, HPos::Left, VPos::Top);
        area.draw(&Text::new(self.title.clone(), (10, 8), text))?;
        let text = style(12, HPos::Left, VPos::Top);
        let mut left = 10;
        for side in [Side::Ours, Side::Limit, Side::Peer] {
            let square = [(left, 34), (left + 10, 44)];
            area.draw(&Rectangle::new(square, side.color().filled()))?;
            area.draw(&Text::new(side.meaning(), (left + 16, 33), text.clone()))?;
            left += 190;
        }
        Ok(())
    }
}

impl Panel {
    fn height(&self) -> Result<u32> {
        Ok(PANEL_HEAD + AXIS + ROW * u32::try_from(self.rows.len())?)
    }

    fn draw(&self, area: &Area<'_>, scale: Scale) -> Result<()> {
        let (head, area) = area.split_vertically(PANEL_HEAD);
        let text = style(13, HPos::Left, VPos::Top);
        head.draw(&Text::new(self.title.clone(), (10, 6), text))?;
        let (low, high) = scale.bounds(&self.rows);
        let rows = self.rows.len() as f64;
        let mut plot = ChartBuilder::on(&area)
            .set_label_area_size(LabelAreaPosition::Left, NAMES)
            .set_label_area_size(LabelAreaPosition::Bottom, AXIS)
            .margin_right(NUMBERS)
            .build_cartesian_2d(low..high, 0.0..rows)?;
        plot.configure_mesh()
            .disable_y_mesh()
            .disable_y_axis()
            .x_labels(scale.ticks(low, high))
            .x_max_light_lines(1)
            .x_label_style(style(11, HPos::Center, VPos::Top))
            .x_label_formatter(&|place| scale.tick(*place))
            .draw()?;
        let area = plot.plotting_area();
        for (number, row) in self.rows.iter().enumerate() {
            let at = rows - number as f64 - 0.5;
            let (from, to) = row.ends(scale);
            let color = row.side.color();
            match scale {
                Scale::Bars => {
                    for value in &row.values {
                        let corners = [(low, at - HALF), (*value, at + HALF)];
                        area.draw(&Rectangle::new(corners, color.filled()))?;
                    }
                    area.draw(&PathElement::new(vec![(from, at), (to, at)], BLACK))?;
                }
                Scale::Dots => {
                    area.draw(&PathElement::new(vec![(from, at), (to, at)], color))?;
                    for value in &row.values {
                        let place = (scale.place(*value), at);
                        area.draw(&Circle::new(place, 4, color.filled()))?;
                    }
                }
            }
            let text = style(12, HPos::Right, VPos::Center);
            let name = Text::new(row.name.clone(), (-GAP, 0), text);
            area.draw(&(EmptyElement::at((low, at)) + name))?;
            let text = style(12, HPos::Left, VPos::Center);
            let told = Text::new(row.told.clone(), (GAP, 0), text);
            area.draw(&(EmptyElement::at((to, at)) + told))?;
        }
        Ok(())
    }
}

impl Row {
    /// Where the line of the row begins and ends: from the least of its values and rounds to the
    /// most.
    fn ends(&self, scale: Scale) -> (f64, f64) {
        let rounds = self
            .rounds
            .into_iter()
            .flat_map(|(least, most)| [least, most]);
        let values = self.values.iter().copied().chain(rounds);
        let places = values.map(|value| scale.place(value));
        places.fold(
            (f64::INFINITY, f64::NEG_INFINITY),
            |(least, most), place| (least.min(place), most.max(place)),
        )
    }
}

impl Scale {
    /// Where a value is on the axis.
    fn place(self, value: f64) -> f64 {
        match self {
            Self::Bars => value,
            Self::Dots => value.log10(),
        }
    }

    /// Both ends of an axis that has room for all rows.
    fn bounds(self, rows: &[Row]) -> (f64, f64) {
        let ends = || rows.iter().map(|row| row.ends(self));
        let least = ends().map(|(from, _)| from).fold(f64::INFINITY, f64::min);
        let most = ends().map(|(_, to)| to).fold(f64::NEG_INFINITY, f64::max);
        match self {
            Self::Bars if most > 0.0 => (0.0, most * 1.02),
            Self::Bars => (0.0, 1.0),
            // Whole powers of ten, and at least one.
            Self::Dots => (least.floor(), most.ceil().max(least.floor() + 1.0)),
        }
    }

    /// How many lines an axis may have.
    fn ticks(self, low: f64, high: f64) -> usize {
        match self {
            Self::Bars => 6,
            // One for each power of ten, and none between them.
            Self::Dots => {
                1 + (0..32)
                    .filter(|power| low + f64::from(*power) < high)
                    .count()
            }
        }
    }

    /// What stands below a line of the axis.
    fn tick(self, place: f64) -> String {
        let value = match self {
            Self::Bars => place,
            Self::Dots => 10_f64.powf(place),
        };
        if value.fract().abs() < 1e-9 {
            super::number::whole(value)
        } else {
            // As many digits as it takes, and no noise of the last ones.
            let rounded = format!("{value:.4}");
            rounded.trim_end_matches('0').to_owned()
        }
    }
}

impl Side {
    /// By the name that the parts give a contestant.
    pub fn of(contestant: &str) -> Self {
        let begins = |with: &[&str]| with.iter().any(|with| contestant.starts_with(with));
        if begins(&["engine", "syncline", "tended"]) {
            Self::Ours
        } else if begins(&["raw", "bare", "alone"]) {
            Self::Limit
        } else {
            Self::Peer
        }
    }

    fn color(self) -> RGBColor {
        match self {
            Self::Ours => OURS,
            Self::Limit => LIMIT,
            Self::Peer => PEER,
        }
    }

    fn meaning(self) -> &'static str {
        match self {
            Self::Ours => "Syncline",
            Self::Limit => "limit of the machine",
            Self::Peer => "others",
        }
    }
}

fn style(size: u32, horizontal: HPos, vertical: VPos) -> TextStyle<'static> {
    let font = ("sans-serif", size).into_font();
    TextStyle::from(font).pos(Pos::new(horizontal, vertical))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, values: &[f64]) -> Row {
        Row {
            name: name.to_owned(),
            side: Side::of(name),
            values: values.to_vec(),
            rounds: None,
            told: format!("{values:?}"),
        }
    }

    fn chart(scale: Scale, rows: Vec<Row>) -> Chart {
        let title = "a <title> & more".to_owned();
        let panels = vec![Panel {
            title: "1 thread".to_owned(),
            rows,
        }];
        Chart {
            title,
            scale,
            panels,
        }
    }

    /// The texts of a document, which has to be one.
    fn texts(svg: &str) -> Vec<String> {
        let document = roxmltree::Document::parse(svg).unwrap();
        let texts = document.descendants().filter_map(|node| node.text());
        texts.map(|text| text.trim().to_owned()).collect()
    }

    #[test]
    fn names_and_numbers_are_texts_of_a_well_formed_document() {
        for scale in [Scale::Bars, Scale::Dots] {
            let rows = vec![row("engine", &[7413.0]), row("a & b", &[0.5])];
            let svg = chart(scale, rows).draw().unwrap();
            let texts = texts(&svg);
            for text in [
                "a <title> & more",
                "1 thread",
                "engine",
                "a & b",
                "[7413.0]",
            ] {
                assert!(texts.iter().any(|found| found == text), "{text}: {texts:?}");
            }
        }
    }

    #[test]
    fn the_same_figures_give_the_same_bytes() {
        let draw = || {
            let rows = vec![row("engine", &[0.12, 0.5, 4.0]), row("redb", &[1.0])];
            chart(Scale::Dots, rows).draw().unwrap()
        };
        assert_eq!(draw(), draw());
    }

    #[test]
    fn axes_have_room_for_what_is_on_them() {
        let rows = [row("engine", &[0.12, 0.5, 4.0]), row("redb", &[20.0])];
        assert_eq!(Scale::Dots.bounds(&rows), (-1.0, 2.0));
        let (low, high) = Scale::Bars.bounds(&rows);
        assert!(low == 0.0 && high > 20.0, "{low} to {high}");
        assert_eq!(Scale::Dots.tick(-1.0), "0.1");
        assert_eq!(Scale::Bars.tick(20_000.0), "20,000");
        assert_eq!(Scale::Bars.tick(0.0), "0");
    }

    #[test]
    fn an_axis_without_a_value_is_one_all_the_same() {
        let svg = chart(Scale::Bars, vec![row("engine", &[0.0])])
            .draw()
            .unwrap();
        assert!(texts(&svg).contains(&"engine".to_owned()));
    }
}
