//! An explanation in sentences, for people: English and Chinese side by side, so that neither says
//! more than the other.

use std::fmt::Write as _;

use super::{BlockExplained, Cause, Charged, Explanation, HoldExplained, PartExplained, Sale};
use crate::rules::agreement::{Count, DayKind};

/// The languages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    English,
    Chinese,
}

use Language::{Chinese, English};

/// One sentence in both languages.
macro_rules! both {
    ($language:expr, $english:literal, $chinese:literal $(,)?) => {
        match $language {
            English => format!($english),
            Chinese => format!($chinese),
        }
    };
}

mod parts;
mod stored;

use parts::{anchor, block_kind, found, state, test_name};

/// The whole explanation, a line per statement.
#[must_use]
pub fn tell(it: &Explanation, language: Language) -> String {
    let mut lines = Lines {
        language,
        text: String::new(),
    };
    let (order, merchant, at) = (&it.order_id, &it.merchant_id, it.at);
    let state = state(it.state, language);
    lines.say(&both!(
        language,
        "Order {order} of merchant {merchant} is {state} at {at}.",
        "商户 {merchant} 的订单 {order}：截至 {at}，{state}。"
    ));
    if let Some(sale) = &it.sale {
        lines.sale(sale);
    } else {
        lines.say(&both!(
            language,
            "The order itself has not come yet.",
            "订单本身尚未到达。"
        ));
    }
    for hold in &it.holds {
        lines.hold(hold);
    }
    for block in &it.blocks {
        lines.block(block);
    }
    for review in &it.reviews {
        lines.say(&parts::review(review, language));
    }
    for charged in &it.refunds {
        lines.charged(charged);
    }
    for owed in &it.owed {
        let cause = stored::cause(&owed.cause, language);
        let (left, original, at) = (owed.left, owed.original, owed.opened_at);
        lines.say(&both!(
            language,
            "Owed since {at} for {cause}: {left} of {original}.",
            "应收：自 {at} 起，因 {cause}，尚欠 {left}（原 {original}）。"
        ));
        let borne = owed.written_off;
        if !borne.is_zero() {
            lines.say(&both!(
                language,
                "The platform has written off {borne} of it.",
                "其中 {borne} 已由平台核销。"
            ));
        }
    }
    for payout in &it.payouts {
        lines.say(&parts::payout(payout, language));
    }
    for key in &it.parked {
        lines.say(&both!(
            language,
            "Waiting: {key}.",
            "等待处理的消息：{key}。"
        ));
    }
    lines.text
}

struct Lines {
    language: Language,
    text: String,
}

impl Lines {
    fn say(&mut self, line: &str) {
        writeln!(self.text, "{line}").expect("a String takes everything");
    }

    fn sale(&mut self, sale: &Sale) {
        let language = self.language;
        let (amount, fees, currency, at) =
            (sale.amount, sale.fees, &sale.currency, sale.completed_at);
        let by = by(sale.message.as_ref(), language);
        self.say(&both!(
            language,
            "Completed at {at}{by}: {amount} {currency}, fees {fees}.",
            "订单完成于 {at}{by}：金额 {amount} {currency}，手续费 {fees}。"
        ));
        match (&sale.agreement, sale.free) {
            (Some(agreement), Some(free)) => {
                let agreement = stored::agreement(agreement, language);
                self.say(&both!(
                    language,
                    "Held under agreement {agreement}; {free} is held by no term.",
                    "适用协议 {agreement}；{free} 不在任何冻结条款之内。"
                ));
            }
            _ => self.say(&both!(
                language,
                "No agreement is in force: it waits for one (agreement.published.v1).",
                "没有生效的协议：等待协议发布（agreement.published.v1）。"
            )),
        }
        let times = [
            ("Delivered", "签收于", sale.delivered_at),
            ("Confirmed", "确认于", sale.confirmed_at),
            ("Cancelled", "取消于", sale.cancelled_at),
        ];
        for (english, chinese, at) in times {
            if let Some(at) = at {
                self.say(&both!(language, "{english} at {at}.", "{chinese} {at}。"));
            }
        }
    }

    fn hold(&mut self, hold: &HoldExplained) {
        let language = self.language;
        let (id, term, state) = (hold.hold_id, &hold.term, state(hold.state, language));
        self.say("");
        self.say(&both!(
            language,
            "Hold {id} under term {term}: {state}.",
            "冻结 {id}（条款 {term}）：{state}。"
        ));
        if let Some(calculation) = &hold.calculation {
            let calculation = stored::calculation(calculation, language);
            self.say(&both!(
                language,
                "  amount: {calculation}",
                "  金额：{calculation}"
            ));
        }
        let (original, left, consumed) = (hold.original, hold.left, hold.consumed);
        let (released, reversed) = (hold.released, hold.reversed);
        self.say(&both!(
            language,
            "  {original} = {left} left + {consumed} consumed + {released} released + {reversed} reversed",
            "  {original} = 剩余 {left} + 已扣减 {consumed} + 已解冻 {released} + 已撤销 {reversed}"
        ));
        self.clock(hold);
        for part in &hold.parts {
            self.part(part);
        }
        for test in &hold.tests {
            let mark = match (test.passes, language) {
                (true, English) => "ok  ",
                (false, English) => "wait",
                (true, Chinese) => "通过",
                (false, Chinese) => "未过",
            };
            let name = test_name(test.name, language);
            let found = found(test, language);
            self.say(&both!(
                language,
                "  {mark} {name}: {found}",
                "  {mark} {name}：{found}"
            ));
        }
        self.end(hold);
        for way in &hold.ways {
            let way = parts::way(way, language);
            self.say(&both!(
                language,
                "  Who can act: {way}.",
                "  可行动者：{way}。"
            ));
        }
    }

    fn clock(&mut self, hold: &HoldExplained) {
        let language = self.language;
        let clock = &hold.clock;
        let (days, zone) = (clock.days, &clock.time_zone);
        let anchor = anchor(clock.anchor, language);
        let kind = match (clock.day_kind, language) {
            (DayKind::Calendar, English) => "calendar days",
            (DayKind::Business, English) => "working days",
            (DayKind::Calendar, Chinese) => "个自然日",
            (DayKind::Business, Chinese) => "个工作日",
        };
        let count = match (clock.count, language) {
            (Count::Instant, English) => "to the same time of day",
            (Count::Date, English) => "to the start of the last day",
            (Count::EndOfDay, English) => "to the end of the last day",
            (Count::Instant, Chinese) => "至同一时刻",
            (Count::Date, Chinese) => "至末日零时",
            (Count::EndOfDay, Chinese) => "至末日结束",
        };
        self.say(&both!(
            language,
            "  term: {days} {kind} from {anchor}, {count}, in {zone}",
            "  期限：自{anchor}起 {days} {kind}，{count}，时区 {zone}"
        ));
        if let (Some(calendar), Some(version)) = (&clock.calendar, clock.calendar_version) {
            self.say(&both!(
                language,
                "  calendar: {calendar} version {version}",
                "  日历：{calendar} 版本 {version}"
            ));
        }
        let by = by(clock.message.as_ref(), language);
        match clock.anchor_at {
            Some(at) => self.say(&both!(
                language,
                "  clock runs from {at}{by}",
                "  自 {at} 起计时{by}"
            )),
            None => self.say(&both!(
                language,
                "  clock has not started",
                "  尚未开始计时"
            )),
        }
    }

    fn part(&mut self, part: &PartExplained) {
        let language = self.language;
        let (amount, blocked) = (part.amount, part.blocked);
        let dates = (
            part.window_ends_at,
            part.eligible_at,
            part.release_at,
            part.settlement_date,
        );
        let (Some(window), Some(eligible), Some(release), Some(date)) = dates else {
            return self.say(&both!(
                language,
                "  {amount} ({blocked} blocked): no dates yet",
                "  {amount}（其中 {blocked} 被阻断）：日期未定"
            ));
        };
        self.say(&both!(
            language,
            "  {amount} ({blocked} blocked): window ends {window}, eligible {eligible}, goes {release}, settlement {date}",
            "  {amount}（其中 {blocked} 被阻断）：期限止于 {window}，{eligible} 起可解冻，{release} 解冻，结算日 {date}"
        ));
    }

    fn end(&mut self, hold: &HoldExplained) {
        let language = self.language;
        let test = hold.first_failing;
        let name = test_name(test.unwrap_or_default(), language);
        self.say(&match (test, hold.expected_on) {
            (Some("left"), _) => both!(language, "  Nothing is left.", "  已无余额。"),
            (Some(_), Some(date)) => both!(
                language,
                "  Waits because of: {name}. Expected on {date}.",
                "  等待原因：{name}。预计 {date} 解冻。"
            ),
            (Some(_), None) => both!(
                language,
                "  Waits because of: {name}. No date can be expected.",
                "  等待原因：{name}。无法预计日期。"
            ),
            (None, _) => both!(language, "  Goes now.", "  现在即可解冻。"),
        });
    }

    fn block(&mut self, block: &BlockExplained) {
        let language = self.language;
        let (id, opened) = (&block.reference, block.opened_at);
        let reason = stored::reason(block, language);
        let kind = block_kind(block.block, language);
        let amount = match (block.amount, block.hold_id) {
            (Some(amount), None) => amount.to_string(),
            (Some(amount), Some(hold)) => {
                both!(
                    language,
                    "{amount} of hold {hold}",
                    "冻结 {hold} 中的 {amount}"
                )
            }
            (None, Some(hold)) => both!(language, "hold {hold}", "冻结 {hold}"),
            (None, None) => both!(language, "the whole order", "整个订单"),
        };
        let put = by(block.message.as_ref(), language);
        let until = match block.cleared_at {
            None => String::new(),
            Some(at) => {
                let by = by(block.cleared_by.as_ref(), language);
                both!(language, " until {at}{by}", "，至 {at}{by}")
            }
        };
        self.say(&both!(
            language,
            "Block: {kind} {id} ({reason}), {amount}, since {opened}{put}{until}.",
            "阻断：{kind} {id}（{reason}），{amount}，自 {opened} 起{put}{until}。"
        ));
    }

    fn charged(&mut self, it: &Charged) {
        let language = self.language;
        let cause = match &it.cause {
            Cause::Refund { id, amount } => {
                both!(language, "refund {id} of {amount}", "退款 {id}（{amount}）")
            }
            Cause::LostChargeback { id } => {
                both!(language, "lost chargeback {id}", "拒付败诉 {id}")
            }
        };
        let by = by(it.message.as_ref(), language);
        if let Some(at) = it.reversed_at {
            return self.say(&both!(
                language,
                "The {cause}{by} did not go through, as was told at {at}: what it had charged went back.",
                "{cause}{by}未成功（{at} 告知），已扣款项已退回。"
            ));
        }
        let (charged, reversed) = (it.charged, it.from_reversed);
        let (holds, deposit, receivable) = (it.from_holds, it.from_deposit, it.from_receivable);
        self.say(&both!(
            language,
            "Charged {charged} for {cause}{by}: {reversed} out of reversed money, {holds} out of holds, {deposit} out of the deposit, {receivable} as a receivable.",
            "{cause}{by}：共计 {charged}，其中已撤销款 {reversed}，冻结扣减 {holds}，保证金 {deposit}，应收 {receivable}。"
        ));
    }
}

/// By which message, if that is known.
fn by(message: Option<&String>, language: Language) -> String {
    message.map_or_else(String::new, |place| {
        both!(language, " by {place}", "（消息 {place}）")
    })
}
