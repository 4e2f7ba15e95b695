//! The demo as a full-screen view: the books per currency, what is due, what just happened.
//!
//! Guarantees that the terminal is given back as it was found, on errors and panics too.

use std::collections::VecDeque;
use std::time::{Duration, Instant as Moment};

use jiff::Timestamp;
use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize as _};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Cell, Paragraph, Row, Table};

use super::figures::{bars, grouped, rounded, utc};
use super::news::{Kind, News, Pace};
use super::show::Scene;
use crate::message::outgoing::EventType;
use crate::store::overview::{Book, Overview};

const FRAME: Duration = Duration::from_millis(80);
/// One line of each kind in this time: so fast a person reads.
const READABLE: Duration = Duration::from_millis(1200);
/// Lines kept for a window that grows.
const KEPT: usize = 200;
/// At least so long between two looks at the books, and ten times as long as a look takes.
const LOOK: Duration = Duration::from_millis(400);
/// Below this width some columns stay away.
const WIDE: u16 = 108;
/// Below this height the addresses stay away; they stand above the view too.
const HIGH: u16 = 30;

/// Gives the terminal back when dropped.
struct Restore;

impl Drop for Restore {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// What is on the screen.
struct View {
    now: Timestamp,
    day: i64,
    days: Option<u32>,
    overview: Overview,
    /// What is not ready, by component.
    waiting: Option<String>,
    news: VecDeque<News>,
    addresses: [(&'static str, String); 4],
}

/// Shows the demo until it is over or a key ends it.
///
/// # Errors
/// When the terminal or the database fails.
pub async fn show(scene: &mut Scene) -> anyhow::Result<()> {
    let mut terminal = ratatui::try_init()?;
    let _restore = Restore;
    let mut view = View {
        now: scene.from,
        day: 0,
        days: scene.days,
        overview: Overview::default(),
        waiting: None,
        news: VecDeque::new(),
        addresses: scene.addresses.clone(),
    };
    let mut pace = Pace::of(READABLE);
    let mut next_look = Moment::now();
    while !scene.is_over() {
        if wants_to_go()? {
            scene.stop.cancel();
        }
        while let Ok(news) = scene.news.try_recv() {
            if pace.lets_pass(news.kind, Moment::now()) {
                view.news.push_back(news);
            }
        }
        while view.news.len() > KEPT {
            view.news.pop_front();
        }
        let now = scene.store.now().await?;
        if Moment::now() >= next_look {
            let began = Moment::now();
            view.overview = scene.store.overview(now).await?;
            next_look = Moment::now() + LOOK.max(began.elapsed() * 10);
        }
        view.now = now.timestamp();
        view.day = scene.day(view.now);
        let reasons = scene.readiness.reasons().into_iter().next();
        view.waiting = reasons.map(|(component, reason)| {
            if view.now == scene.from {
                "the service to start".to_owned()
            } else {
                format!("{component}: {reason}")
            }
        });
        terminal.draw(|frame| draw(frame, &view))?;
        tokio::time::sleep(FRAME).await;
    }
    Ok(())
}

/// Whether a key that ends the demo was pressed since the last look.
fn wants_to_go() -> std::io::Result<bool> {
    let mut goes = false;
    while event::poll(Duration::ZERO)? {
        if let Event::Key(key) = event::read()? {
            let control = key.modifiers.contains(KeyModifiers::CONTROL);
            goes |= match key.code {
                KeyCode::Char('q') | KeyCode::Esc => true,
                KeyCode::Char('c') => control,
                _ => false,
            };
        }
    }
    Ok(goes)
}

fn draw(frame: &mut Frame<'_>, view: &View) {
    let currencies = u16::try_from(view.overview.books.len()).unwrap_or(8).max(1);
    let [head, books, counts, news, foot] = Layout::vertical([
        Constraint::Length(3),
        Constraint::Length(currencies + 3),
        Constraint::Length(4),
        Constraint::Min(3),
        Constraint::Length(if frame.area().height < HIGH { 0 } else { 6 }),
    ])
    .areas(frame.area());
    frame.render_widget(headline(view), head);
    frame.render_widget(table(&view.overview, books), books);
    frame.render_widget(counters(&view.overview), counts);
    frame.render_widget(told(view, news), news);
    let addresses = view.addresses.iter();
    let lines: Vec<Line<'_>> = addresses
        .map(|(what, how)| {
            Line::from(vec![
                format!(" {what:<9} ").dark_gray(),
                how.as_str().into(),
            ])
        })
        .collect();
    frame.render_widget(
        Paragraph::new(lines).block(pane("look in with your own tools")),
        foot,
    );
}

fn pane(title: &str) -> Block<'_> {
    Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(Style::new().dark_gray())
        .title(Span::styled(
            format!(" {title} "),
            Style::new().add_modifier(Modifier::BOLD),
        ))
}

fn headline(view: &View) -> Paragraph<'_> {
    let day = match view.days {
        Some(days) => format!("day {} of {days}", view.day + 1),
        None => format!("day {}", view.day + 1),
    };
    let gate = match &view.waiting {
        None => "gate open".green(),
        Some(why) => Span::from(format!("waiting for {why}")).yellow(),
    };
    let line = Line::from(vec![
        format!(" {}", utc(view.now, "%A %-d %B %Y  %H:%M UTC")).bold(),
        format!("   {day}   ").into(),
        gate,
    ]);
    let stand_in = "the broker is a stand-in without transactions";
    Paragraph::new(line).block(
        pane("holdback demo")
            .title(Line::from(format!(" {stand_in} ").dark_gray()).right_aligned())
            .title_bottom(Line::from(" q ends ").right_aligned()),
    )
}

fn table(overview: &Overview, area: Rect) -> Table<'_> {
    let wide = area.width >= WIDE;
    let head =
        |text: &'static str| Cell::from(Line::from(text).alignment(Alignment::Right)).dark_gray();
    let mut titles = vec![Cell::from(""), head("held"), head("blocked")];
    titles.extend([head("released"), head("paid")]);
    if wide {
        titles.extend([head("refunded"), head("owed")]);
    }
    titles.push(Cell::from(" due, from today on").dark_gray());
    let mut widths = vec![
        Constraint::Length(4),
        Constraint::Length(12),
        Constraint::Length(13),
        Constraint::Length(13),
        Constraint::Length(13),
    ];
    if wide {
        widths.extend([Constraint::Length(11), Constraint::Length(9)]);
    }
    widths.push(Constraint::Min(20));
    let rows: Vec<Row<'_>> = overview.books.iter().map(|book| line(book, wide)).collect();
    Table::new(rows, widths)
        .header(Row::new(titles))
        .block(pane("money"))
}

fn line(book: &Book, wide: bool) -> Row<'_> {
    let right = |amount, color: Color| {
        let text = Line::from(rounded(amount)).alignment(Alignment::Right);
        Cell::from(text).style(Style::new().fg(color))
    };
    let mut cells = vec![
        Cell::from(book.currency.code()).bold(),
        right(book.held, Color::Cyan),
        right(book.blocked, Color::Yellow),
        right(book.released, Color::Green),
        right(book.paid, Color::Green),
    ];
    if wide {
        cells.extend([
            right(book.refunded, Color::Magenta),
            right(book.owed, Color::Red),
        ]);
    }
    cells.push(Cell::from(format!(" {}", bars(&book.due))).style(Style::new().fg(Color::Cyan)));
    Row::new(cells)
}

fn counters(overview: &Overview) -> Paragraph<'_> {
    let counts = &overview.counts;
    let line = |counted: &[(i64, &'static str)]| {
        let spans = counted.iter().flat_map(|(count, what)| {
            [
                format!(" {}", grouped(&count.to_string())).bold(),
                format!(" {what}  ").dark_gray(),
            ]
        });
        Line::from(spans.collect::<Vec<_>>())
    };
    Paragraph::new(vec![
        line(&[
            (counts.orders, "orders"),
            (counts.releases, "releases"),
            (counts.refunds, "refunds"),
            (counts.disputes, "disputes"),
            (counts.open_disputes, "open"),
        ]),
        line(&[
            (counts.dead_letters, "dead letters"),
            (counts.parked, "parked"),
            (counts.without_agreement, "waiting for an agreement"),
            (counts.failed_payouts, "payouts failed"),
        ]),
    ])
    .block(pane("so far"))
}

fn told(view: &View, area: Rect) -> Paragraph<'_> {
    let fits = usize::from(area.height.saturating_sub(2));
    let first = view.news.len().saturating_sub(fits);
    let lines: Vec<Line<'_>> = view
        .news
        .iter()
        .skip(first)
        .map(|news| {
            Line::from(vec![
                format!(" {}  ", utc(news.at, "%e %b %H:%M")).dark_gray(),
                Span::styled("● ", Style::new().fg(color(news.kind))),
                news.text.as_str().into(),
            ])
        })
        .collect();
    Paragraph::new(lines).block(pane("what just happened"))
}

fn color(kind: Kind) -> Color {
    use EventType as E;
    match kind {
        Kind::DeadLetter => Color::Red,
        Kind::Event(kind) => match kind {
            E::ReleaseIssued
            | E::ReleaseShadowed
            | E::SettlementClosed
            | E::SettlementShadowed
            | E::PayoutSettled
            | E::HoldUnblocked => Color::Green,
            E::HoldBlocked
            | E::HoldLimitReached
            | E::SettlementSkipped
            | E::ReviewReminded
            | E::ReviewOverdue => Color::Yellow,
            E::RefundApplied | E::HoldReversed | E::HoldConsumed => Color::Magenta,
            E::ReceivableOpened | E::ReceivableRecovered | E::ReceivableWrittenOff => Color::Red,
            E::OrderAccepted
            | E::HoldCreated
            | E::HoldRescheduled
            | E::HoldRestored
            | E::RefundReversed
            | E::CreditOpened
            | E::DepositChanged
            | E::ReviewRequested
            | E::ReviewClosed
            | E::AgreementAccepted
            | E::ControlDaily => Color::Cyan,
        },
    }
}
