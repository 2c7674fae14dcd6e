//! How text for people is dressed: colour or none, how wide, how much.

use anstyle::{AnsiColor, Color, Effects};

use crate::plan::ActionKind;

/// How text for people is dressed. Colour only helps: every meaning has a sign or a word too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Whether ANSI colours may be used.
    pub color: bool,
    /// Columns of the terminal; 100 where there is none.
    pub width: usize,
    /// Whether calls, order and uncut values are shown.
    pub verbose: bool,
}

impl Default for Style {
    fn default() -> Self {
        Self { color: false, width: 100, verbose: false }
    }
}

/// What a piece of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    Action(ActionKind),
    Added,
    AddedWord,
    Removed,
    RemovedWord,
    Drift,
    Dim,
    Strong,
    Good,
    Bad,
    Warn,
}

impl Style {
    /// The text in its colour, or as it is.
    pub(super) fn paint(self, ink: Ink, text: &str) -> String {
        if !self.color || text.is_empty() {
            return text.to_owned();
        }
        let style = ink.style();
        format!("{}{text}{}", style.render(), style.render_reset())
    }

    /// Columns that a line may take, however narrow the terminal says that it is.
    pub(super) fn columns(self) -> usize {
        self.width.clamp(40, 240)
    }
}

impl Ink {
    fn style(self) -> anstyle::Style {
        let plain = |color: AnsiColor| anstyle::Style::new().fg_color(Some(Color::Ansi(color)));
        match self {
            Self::Action(ActionKind::Create) => plain(AnsiColor::Green).bold(),
            Self::Action(ActionKind::Adopt) => plain(AnsiColor::Cyan).bold(),
            Self::Action(ActionKind::Update) => plain(AnsiColor::Yellow).bold(),
            Self::Action(ActionKind::Replace) => plain(AnsiColor::Magenta).bold(),
            Self::Action(ActionKind::Delete) => plain(AnsiColor::Red).bold(),
            Self::Action(ActionKind::Forget) => plain(AnsiColor::Blue).bold(),
            Self::Added | Self::Good => plain(AnsiColor::Green),
            Self::AddedWord => plain(AnsiColor::Green).effects(Effects::BOLD | Effects::UNDERLINE),
            Self::Removed | Self::Bad => plain(AnsiColor::Red),
            Self::RemovedWord => plain(AnsiColor::Red).effects(Effects::BOLD | Effects::UNDERLINE),
            Self::Drift => plain(AnsiColor::Magenta),
            Self::Warn => plain(AnsiColor::Yellow),
            Self::Dim => anstyle::Style::new().dimmed(),
            Self::Strong => anstyle::Style::new().bold(),
        }
    }
}
