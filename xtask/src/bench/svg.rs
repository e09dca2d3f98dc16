//! Line plots on logarithmic axes, as SVG that can be read on a light and on a dark page.

use std::fmt::Write;

/// Size of the picture, and where the plot is in it.
const WIDTH: f64 = 780.0;
const HEIGHT: f64 = 440.0;
const LEFT: f64 = 74.0;
const RIGHT: f64 = 560.0;
const TOP: f64 = 52.0;
const BOTTOM: f64 = 384.0;
/// Least distance between two lines of the legend.
const LEGEND_LINE: f64 = 20.0;
/// Half the size of a mark.
const MARK: f64 = 4.5;

/// Colours and strokes. The first block is for light pages and for programs that know no other.
const STYLE: &str = "
  text { font: 13px system-ui, 'Segoe UI', Helvetica, Arial, sans-serif; fill: #1f2328; }
  .title { font-size: 15px; font-weight: 600; }
  .paper { fill: #ffffff; }
  .grid { stroke: #d0d7de; }
  .minor { stroke: #eceff2; }
  .line { fill: none; stroke-width: 2; stroke-linejoin: round; }
  .first { stroke-width: 3.5; }
  .dashed { stroke-dasharray: 6 4; }
  .line.c0 { stroke: #0b62c4; } .mark.c0 { fill: #0b62c4; }
  .line.c1 { stroke: #c4470b; } .mark.c1 { fill: #c4470b; }
  .line.c2 { stroke: #7d3fd6; } .mark.c2 { fill: #7d3fd6; }
  .line.c3 { stroke: #5f6b76; } .mark.c3 { fill: #5f6b76; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .paper { fill: #0d1117; }
    .grid { stroke: #3a424c; }
    .minor { stroke: #1f262e; }
    .line.c0 { stroke: #58a6ff; } .mark.c0 { fill: #58a6ff; }
    .line.c1 { stroke: #ff9f5a; } .mark.c1 { fill: #ff9f5a; }
    .line.c2 { stroke: #c297ff; } .mark.c2 { fill: #c297ff; }
    .line.c3 { stroke: #9aa5b1; } .mark.c3 { fill: #9aa5b1; }
  }
";

/// A plot. All numbers must be greater than 0.
pub struct Plot<'a> {
    pub title: &'a str,
    /// What the horizontal axis has.
    pub across: &'a str,
    /// The text at a number on each axis.
    pub across_text: fn(u64) -> String,
    pub up_text: fn(u64) -> String,
    pub series: Vec<Series>,
}

/// One line of a plot.
pub struct Series {
    pub name: String,
    /// Which colour and mark.
    pub style: usize,
    /// By ascending first number.
    pub points: Vec<(u64, u64)>,
}

/// A logarithmic axis: numbers `low` to `high` on pixels `from` to `to`.
#[derive(Debug, Clone, Copy)]
struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    /// An axis with a little room on both sides of these numbers.
    fn around(numbers: impl Iterator<Item = u64> + Clone, from: f64, to: f64) -> Self {
        const ROOM: f64 = 1.4;
        let low = number(numbers.clone().min().unwrap_or(1)) / ROOM;
        let high = number(numbers.max().unwrap_or(1)) * ROOM;
        Self { low, high, from, to }
    }

    /// The pixel of a number.
    fn at(&self, value: f64) -> f64 {
        let share = (value / self.low).ln() / (self.high / self.low).ln();
        self.from + share * (self.to - self.from)
    }

    /// The powers of ten from `10^0` on that are on it, or would be if it were a little longer at its low end.
    fn decades(&self) -> impl Iterator<Item = u64> {
        let (low, high) = (self.low / 10.0, self.high);
        (0..12)
            .map(|power| 10_u64.pow(power))
            .filter(move |tick| number(*tick) > low && number(*tick) <= high)
    }

    fn has(&self, value: u64) -> bool {
        (self.low..=self.high).contains(&number(value))
    }
}

/// The picture.
pub fn draw(plot: &Plot<'_>) -> String {
    let points = || plot.series.iter().flat_map(|series| series.points.iter());
    let across = Axis::around(points().map(|point| point.0), LEFT, RIGHT);
    let up = Axis::around(points().map(|point| point.1), BOTTOM, TOP);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
         role=\"img\">\n<title>{}</title>\n<style>{STYLE}</style>\n\
         <rect class=\"paper\" width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"6\"/>\n",
        escaped(plot.title)
    );
    text(&mut svg, (LEFT, 28.0), "start", "title", plot.title);
    text(&mut svg, (f64::midpoint(LEFT, RIGHT), HEIGHT - 16.0), "middle", "", plot.across);
    grid(&mut svg, plot, across, up);
    // The first is the one that matters: it lies above the others.
    for series in plot.series.iter().rev() {
        line(&mut svg, series, across, up);
    }
    legend(&mut svg, plot, up);
    svg.push_str("</svg>\n");
    svg
}

/// Lines at the powers of ten, with their numbers, and fainter ones between them.
fn grid(svg: &mut String, plot: &Plot<'_>, across: Axis, up: Axis) {
    for class in ["minor", "grid"] {
        let steps = if class == "grid" { 1..2 } else { 2..10 };
        let ticks = |axis: Axis| -> Vec<u64> {
            let all = axis.decades().flat_map(|decade| steps.clone().map(move |step| decade * step));
            all.filter(|tick| axis.has(*tick)).collect()
        };
        for tick in ticks(across) {
            let x = across.at(number(tick));
            stroke(svg, class, (x, TOP), (x, BOTTOM));
            if class == "grid" {
                text(svg, (x, BOTTOM + 20.0), "middle", "", &(plot.across_text)(tick));
            }
        }
        for tick in ticks(up) {
            let y = up.at(number(tick));
            stroke(svg, class, (LEFT, y), (RIGHT, y));
            if class == "grid" {
                text(svg, (LEFT - 8.0, y + 4.5), "end", "", &(plot.up_text)(tick));
            }
        }
    }
    stroke(svg, "grid", (LEFT, BOTTOM), (RIGHT, BOTTOM));
    stroke(svg, "grid", (LEFT, TOP), (LEFT, BOTTOM));
}

fn line(svg: &mut String, series: &Series, across: Axis, up: Axis) {
    let places: Vec<_> =
        series.points.iter().map(|(x, y)| (across.at(number(*x)), up.at(number(*y)))).collect();
    let path: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    // Writing to a string cannot fail.
    let _ = writeln!(
        svg,
        "<polyline class=\"line c{}{}\" points=\"{}\"/>",
        series.style,
        match series.style {
            0 => " first",
            3 => " dashed",
            _ => "",
        },
        path.join(" ")
    );
    for place in places {
        mark(svg, series.style, place);
    }
}

/// A mark of its own for each style, so that colour is not all that tells the lines apart.
fn mark(svg: &mut String, style: usize, (x, y): (f64, f64)) {
    let size = MARK * 2.0;
    // Writing to a string cannot fail.
    let _ = match style {
        0 => writeln!(svg, "<circle class=\"mark c0\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{MARK}\"/>"),
        1 => writeln!(
            svg,
            "<rect class=\"mark c1\" x=\"{:.1}\" y=\"{:.1}\" width=\"{size}\" height=\"{size}\"/>",
            x - MARK,
            y - MARK
        ),
        2 => writeln!(svg, "<path class=\"mark c2\" d=\"M{x:.1} {:.1}l{MARK} {size}h-{size}z\"/>", y - MARK),
        _ => writeln!(
            svg,
            "<path class=\"mark c3\" d=\"M{x:.1} {:.1}l{MARK} {MARK}l-{MARK} {MARK}l-{MARK} -{MARK}z\"/>",
            y - MARK
        ),
    };
}

/// Each line's name and last number, beside its end.
fn legend(svg: &mut String, plot: &Plot<'_>, up: Axis) {
    let mut lines: Vec<(f64, &Series, u64)> = plot
        .series
        .iter()
        .filter_map(|series| series.points.last().map(|last| (up.at(number(last.1)), series, last.1)))
        .collect();
    lines.sort_by(|one, other| one.0.total_cmp(&other.0));
    let heights = spread(lines.iter().map(|line| line.0));
    for ((_, series, last), y) in lines.iter().zip(heights) {
        mark(svg, series.style, (RIGHT + 18.0, y));
        let label = format!("{}: {}", series.name, (plot.up_text)(*last));
        text(svg, (RIGHT + 30.0, y + 4.5), "start", "", &label);
    }
}

/// Ascending heights, moved so far apart that text fits.
fn spread(heights: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut spread: Vec<f64> = Vec::new();
    for height in heights {
        let least = spread.last().map_or(height, |last| last + LEGEND_LINE);
        spread.push(height.max(least));
    }
    let over = spread.last().map_or(0.0, |last| (last - BOTTOM).max(0.0));
    spread.iter().map(|height| height - over).collect()
}

fn stroke(svg: &mut String, class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
    // Writing to a string cannot fail.
    let _ = writeln!(
        svg,
        "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
    );
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, class: &str, text: &str) {
    let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
    let text = escaped(text);
    // Writing to a string cannot fail.
    let _ = writeln!(svg, "<text{class} x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Larger numbers than 2^32 are outside of every plot here.
fn number(value: u64) -> f64 {
    u32::try_from(value).unwrap_or(u32::MAX).into()
}

#[cfg(test)]
mod tests {
    use super::{Axis, BOTTOM, LEFT, LEGEND_LINE, Plot, RIGHT, Series, TOP, draw, spread};

    fn near(one: f64, other: f64) -> bool {
        (one - other).abs() < 0.05
    }

    #[test]
    fn a_number_is_as_far_along_the_axis_as_its_logarithm() {
        let axis = Axis { low: 1.0, high: 1000.0, from: 100.0, to: 400.0 };
        assert!(near(axis.at(1.0), 100.0) && near(axis.at(10.0), 200.0) && near(axis.at(1000.0), 400.0));
        let upwards = Axis { from: 400.0, to: 100.0, ..axis };
        assert!(near(upwards.at(10.0), 300.0) && near(upwards.at(31.622_776), 250.0));
    }

    #[test]
    fn the_ticks_are_the_powers_of_ten_on_the_axis() {
        let axis = Axis::around([2, 1024].into_iter(), 0.0, 1.0);
        let ticks: Vec<u64> = axis.decades().filter(|tick| axis.has(*tick)).collect();
        assert_eq!(ticks, [10, 100, 1000]);
    }

    #[test]
    fn known_points_are_on_known_pixels() {
        let series = |name: &str, style, points| Series { name: name.into(), style, points };
        let plot = Plot {
            title: "a < b",
            across: "threads",
            across_text: |number| number.to_string(),
            up_text: |number| format!("{number} us"),
            series: vec![
                series("ours", 0, vec![(10, 100), (1000, 10_000)]),
                series("peer", 1, vec![(100, 1000)]),
            ],
        };
        let svg = draw(&plot);
        // Both axes have two decades between their ends and a factor of 1.4 beyond each.
        let inset = 1.4_f64.log10() / (2.0 + 2.0 * 1.4_f64.log10());
        let (x1, x2) = (LEFT + inset * (RIGHT - LEFT), RIGHT - inset * (RIGHT - LEFT));
        let (y1, y2) = (BOTTOM - inset * (BOTTOM - TOP), TOP + inset * (BOTTOM - TOP));
        assert!(svg.contains(&format!("points=\"{x1:.1},{y1:.1} {x2:.1},{y2:.1}\"")), "{svg}");
        // The middle of both is in the middle of the plot.
        assert!(svg.contains("points=\"317.0,218.0\""), "{svg}");
        assert!(svg.contains(">a &lt; b</text>") && svg.contains(">ours: 10000 us</text>"), "{svg}");
    }

    #[test]
    fn names_of_lines_that_end_close_together_are_moved_apart_and_stay_in_the_plot() {
        assert_eq!(spread([60.0, 61.0, 200.0].into_iter()), [60.0, 60.0 + LEGEND_LINE, 200.0]);
        assert_eq!(spread([BOTTOM - 5.0, BOTTOM].into_iter()), [BOTTOM - 5.0 - 15.0, BOTTOM]);
    }
}
