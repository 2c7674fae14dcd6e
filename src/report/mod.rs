//! Plans, diagnostics and graphs as text, JSON, Markdown, HTML, DOT, Mermaid, SVG. Pure: every function returns its text.
//!
//! Whatever a user or an API wrote is made harmless before it is shown (`safe`), and a sensitive change is never shown,
//! even where its values were set by mistake (`change`). Text, Markdown and HTML draw the same lines, so that they
//! cannot tell different stories.

mod change;
mod diagnostics;
pub mod graph;
mod group;
mod hide;
pub mod html;
pub mod json;
pub mod markdown;
mod safe;
mod style;
pub mod text;
mod value;
mod words;

pub use diagnostics::{HIDES_SOURCE, counts, diagnostics, to_documents};
pub use safe::line as one_line;
pub use style::Style;
