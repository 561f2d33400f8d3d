//! A chart: SVG, its legend, and the table behind it. The table holds exact values and is what the cursor reads.

use std::fmt::Write as _;

use super::page::{Page, text};
use super::scale::{Scale, clock_ticks};
use crate::report::number::{quantity, span};

/// What the values of an axis are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nanoseconds, tabled in milliseconds.
    Time,
    /// Seconds since the epoch of the run, from nanoseconds.
    Clock,
    /// Plain numbers.
    Count,
    /// A percentile, placed by 1/(1−p).
    Percentile,
}

impl Kind {
    /// As a tick shows it.
    fn tick(self, value: f64) -> String {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "never negative; a display value")]
        match self {
            Self::Time => span(value.round() as u64),
            Self::Clock => span(value.round() as u64),
            Self::Count => quantity(value),
            Self::Percentile => percentile_of(value),
        }
    }

    /// As the table holds it: exact.
    pub(super) fn cell(self, value: f64) -> String {
        let scaled = |divisor: f64, digits: usize| {
            let text = format!("{:.digits$}", value / divisor);
            if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
        };
        match self {
            Self::Time => scaled(1e6, 6),
            Self::Clock => scaled(1e9, 3),
            Self::Count | Self::Percentile => scaled(1.0, 6),
        }
    }

    /// What stands behind a column's name.
    const fn unit(self) -> &'static str {
        match self {
            Self::Time => " (ms)",
            Self::Clock => " (s)",
            Self::Count | Self::Percentile => "",
        }
    }
}

/// The label of a place on the percentile axis: two figures of what is left to 100 %.
fn percentile_of(inverse: f64) -> String {
    if inverse <= 1.0 {
        return "0%".into();
    }
    let left = 100.0 / inverse;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 9")]
    let decimals = (1.0 - left.log10().floor()).clamp(1.0, 9.0) as usize;
    let text = format!("{:.decimals$}", 100.0 - left);
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

/// One line of a chart.
pub(super) struct Series {
    pub(super) name: String,
    /// Which colour and dash: 0 to 5.
    pub(super) ink: usize,
    pub(super) values: Vec<Option<f64>>,
}

/// A chart.
pub(super) struct Chart {
    pub(super) id: String,
    pub(super) title: String,
    /// What it shows and how to read it, in a sentence or two.
    pub(super) says: String,
    pub(super) x_name: String,
    pub(super) x_kind: Kind,
    /// Values of the x axis; for percentiles 1/(1−p).
    pub(super) x: Vec<f64>,
    pub(super) x_scale: Scale,
    pub(super) y_kind: Kind,
    pub(super) y_scale: Scale,
    pub(super) series: Vec<Series>,
    /// A shaded range of y, and what it is.
    pub(super) band: Option<(f64, f64, String)>,
    /// Named places on the x axis.
    pub(super) marks: Vec<(f64, String)>,
    /// Dots instead of lines.
    pub(super) dots: bool,
}

pub(super) const WIDTH: f64 = 480.0;
pub(super) const HEIGHT: f64 = 250.0;
pub(super) const LEFT: f64 = 58.0;
pub(super) const RIGHT: f64 = 14.0;
pub(super) const TOP: f64 = 20.0;
const BOTTOM: f64 = 30.0;

impl Chart {
    pub(super) fn place_x(&self, value: f64) -> f64 {
        LEFT + self.x_scale.place(value) * (WIDTH - LEFT - RIGHT)
    }

    fn place_y(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - self.y_scale.place(value) * (HEIGHT - TOP - BOTTOM)
    }

    /// True when there is nothing to draw.
    pub(super) fn is_empty(&self) -> bool {
        self.series.iter().all(|series| series.values.iter().all(Option::is_none))
    }

    /// Writes figure, legend, drawing and table.
    pub(super) fn render(&self, page: &mut Page) {
        let id = &self.id;
        let mut out = format!(
            "<figure id=\"{id}\" class=\"chart\"><figcaption><h3 id=\"{id}-t\">{}</h3><p id=\"{id}-d\">{}</p></figcaption>\n",
            text(&self.title),
            text(&self.says)
        );
        self.legend(&mut out);
        let places: Vec<String> = self.x.iter().map(|&x| format!("{:.0}", self.place_x(x))).collect();
        let _ = write!(
            out,
            "<div class=\"plot\" tabindex=\"0\" role=\"group\" aria-labelledby=\"{id}-t\" aria-describedby=\"{id}-d\" data-x=\"{}\">\
             <svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-labelledby=\"{id}-t\">",
            places.join(" ")
        );
        self.axes(&mut out);
        for series in &self.series {
            self.line(&mut out, series);
        }
        out.push_str("<line class=\"cursor\" y1=\"20\" y2=\"220\" x1=\"-9\" x2=\"-9\"/></svg><output class=\"tip\"></output></div>\n");
        self.table(&mut out);
        out.push_str("</figure>\n");
        page.raw(&out);
    }

    fn legend(&self, out: &mut String) {
        out.push_str("<ul class=\"legend\">");
        for series in &self.series {
            let _ = write!(
                out,
                "<li><svg viewBox=\"0 0 24 8\" aria-hidden=\"true\"><path class=\"s{}\" d=\"M0 4H24\"/></svg>{}</li>",
                series.ink,
                text(&series.name)
            );
        }
        if let Some((_, _, name)) = &self.band {
            let _ = write!(
                out,
                "<li><svg viewBox=\"0 0 24 8\" aria-hidden=\"true\"><rect class=\"band\" width=\"24\" height=\"8\"/></svg>{}</li>",
                text(name)
            );
        }
        out.push_str("</ul>\n");
    }

    fn axes(&self, out: &mut String) {
        let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
        if let Some((low, high, _)) = &self.band {
            let (top, foot) = (self.place_y(*high), self.place_y(*low));
            let _ = write!(
                out,
                "<rect class=\"band\" x=\"{LEFT}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
                right - LEFT,
                (foot - top).max(1.0)
            );
        }
        for tick in self.y_scale.ticks() {
            let y = self.place_y(tick);
            let _ = write!(
                out,
                "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{right}\"/><text class=\"y\" x=\"{:.0}\" y=\"{:.1}\">{}</text>",
                LEFT - 6.0,
                y + 4.0,
                self.y_kind.tick(tick)
            );
        }
        let mut taken = 0.0;
        let mut ticks = if self.x_kind == Kind::Clock { clock_ticks(self.x_scale) } else { self.x_scale.ticks() };
        // On the percentile axis only whole nines are worth a label.
        ticks.retain(|tick| self.x_kind != Kind::Percentile || (tick.log10() - tick.log10().round()).abs() < 1e-9);
        for tick in ticks {
            let x = self.place_x(tick);
            let anchor = if x > WIDTH - 40.0 { "e" } else { "x" };
            let label = self.x_kind.tick(tick);
            // Two labels never touch, not even in the larger type of a phone.
            #[expect(clippy::cast_precision_loss, reason = "the length of a word")]
            let long = label.chars().count() as f64 * 9.0;
            let begins = if anchor == "e" { x - long } else { x - long / 2.0 };
            let _ = write!(out, "<path class=\"grid\" d=\"M{x:.1} {bottom}v4\"/>");
            if begins >= taken {
                let _ = write!(out, "<text class=\"{anchor}\" x=\"{x:.1}\" y=\"{:.0}\">{label}</text>", bottom + 18.0);
                taken = begins + long + 4.0;
            }
        }
        let mut free = LEFT;
        for (at, name) in &self.marks {
            let x = self.place_x(*at);
            let _ = write!(out, "<path class=\"mark\" d=\"M{x:.1} {TOP}V{bottom}\"/>");
            // A name that would run into its neighbour is left out; the phases are listed in words below.
            #[expect(clippy::cast_precision_loss, reason = "the length of a word")]
            let long = name.len() as f64 * 6.5 + 6.0;
            let next = self.marks.iter().map(|(next, _)| self.place_x(*next)).filter(|next| *next > x + 0.5).fold(right, f64::min);
            if x >= free && next - x >= long {
                let _ = write!(out, "<text class=\"m\" x=\"{:.1}\" y=\"{:.0}\">{}</text>", x + 3.0, TOP - 6.0, text(name));
                free = x + long;
            }
        }
    }

    /// A path broken where there is no value; a lone value is a dot.
    fn line(&self, out: &mut String, series: &Series) {
        let mut path = String::new();
        let mut dots = String::new();
        let points: Vec<_> = self.x.iter().zip(&series.values).map(|(&x, y)| y.map(|y| (self.place_x(x), self.place_y(y)))).collect();
        for (n, point) in points.iter().enumerate() {
            let Some((x, y)) = point else { continue };
            let joined = |n: Option<usize>| n.and_then(|n| points.get(n)).is_some_and(Option::is_some);
            let (before, after) = (joined(n.checked_sub(1)), joined(Some(n + 1)));
            if self.dots || (!before && !after) {
                let _ = write!(dots, "M{x:.1} {y:.1}h0");
            } else {
                let _ = write!(path, "{}{x:.1} {y:.1}", if before { 'L' } else { 'M' });
            }
        }
        if !path.is_empty() {
            let _ = write!(out, "<path class=\"s{}\" d=\"{path}\"/>", series.ink);
        }
        if !dots.is_empty() {
            let class = if self.dots { "dots" } else { "lone" };
            let _ = write!(out, "<path class=\"s{} {class}\" d=\"{dots}\"/>", series.ink);
        }
    }

    /// End tags that HTML lets one omit are omitted: a long run has many cells.
    fn table(&self, out: &mut String) {
        let _ = write!(
            out,
            "<details class=\"data\"><summary>Table: {}</summary><div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{} as a table\">\
             <table data-kind=\"{}\"><thead><tr><th scope=\"col\">{}{}",
            text(&self.title),
            text(&self.title),
            if self.y_kind == Kind::Time { "time" } else { "count" },
            text(&self.x_name),
            self.x_kind.unit()
        );
        for series in &self.series {
            let _ = write!(out, "<th scope=\"col\">{}{}", text(&series.name), self.y_kind.unit());
        }
        out.push_str("</thead><tbody>\n");
        for (n, &x) in self.x.iter().enumerate() {
            let x = if self.x_kind == Kind::Percentile { percentile_of(x) } else { self.x_kind.cell(x) };
            let _ = write!(out, "<tr><td>{x}");
            for series in &self.series {
                let cell = series.values.get(n).copied().flatten().map_or_else(String::new, |value| self.y_kind.cell(value));
                let _ = write!(out, "<td>{cell}");
            }
            out.push('\n');
        }
        out.push_str("</tbody></table></div></details>\n");
    }
}
