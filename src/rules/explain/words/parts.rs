//! Words for states, tests, findings and ways: the parts of the sentences.

use super::Language::{self, Chinese, English};
use super::stored;
use crate::rules::agreement::Anchor;
use crate::rules::explain::{Finding, ReviewExplained, Test, Then, Way, Who};
use crate::rules::payout::{Payout, PayoutState};
use crate::rules::review::Decision;
use crate::rules::time::Instant;

pub(super) fn state(state: &'static str, language: Language) -> &'static str {
    match (language, state) {
        (English, _) => state,
        (Chinese, "unknown") => "未知",
        (Chinese, "waiting") => "等待协议",
        (Chinese, "held") => "冻结中",
        (Chinese, "finished") => "已了结",
        (Chinese, "cancelled") => "已取消",
        (Chinese, "pending") => "未开始计时",
        (Chinese, "due") => "已到期",
        (Chinese, "blocked") => "被阻断",
        (Chinese, "released") => "已解冻",
        (Chinese, "consumed") => "已扣减",
        (Chinese, "reversed") => "已撤销",
        (Chinese, other) => other,
    }
}

pub(super) fn block_kind(kind: &'static str, language: Language) -> &'static str {
    match (language, kind) {
        (Chinese, "dispute") => "争议",
        (Chinese, "review") => "审核",
        (Chinese, "legal") => "法务",
        (Chinese, "manual") => "人工",
        (_, other) => other,
    }
}

pub(super) fn test_name(name: &'static str, language: Language) -> &'static str {
    match (language, name) {
        (Chinese, "left") => "余额",
        (Chinese, "pause") => "暂停",
        (Chinese, "gate") => "新鲜度闸门",
        (Chinese, "legal or review block") => "法务或审核阻断",
        (Chinese, "limit") => "最长期限",
        (Chinese, "other blocks") => "其他阻断",
        (Chinese, "release date") => "解冻日期",
        (Chinese, "settlement minimum") => "结算起付额",
        (_, other) => other,
    }
}

pub(super) fn anchor(anchor: Anchor, language: Language) -> &'static str {
    match (anchor, language) {
        (Anchor::Completed, English) => "completion",
        (Anchor::Delivered, English) => "delivery",
        (Anchor::Confirmed, English) => "confirmation",
        (Anchor::Completed, Chinese) => "订单完成",
        (Anchor::Delivered, Chinese) => "签收",
        (Anchor::Confirmed, Chinese) => "确认",
    }
}

#[expect(clippy::too_many_lines, reason = "one arm per finding")]
pub(super) fn found(test: &Test, language: Language) -> String {
    match &test.finding {
        Finding::Left { amount } => both!(language, "{amount} is left", "剩余 {amount}"),
        Finding::Paused { why: None } => both!(language, "not paused", "未暂停"),
        Finding::Paused { why: Some(why) } => stored::pause(why, language),
        Finding::Gate {
            open_up_to: Some(at),
            ..
        } => both!(language, "open up to {at}", "开放至 {at}"),
        Finding::Gate {
            behind: Some(behind),
            ..
        } => both!(
            language,
            "closed, {behind} holds it back",
            "关闭，{behind} 尚未读完"
        ),
        Finding::Gate { .. } => both!(language, "closed, no partition is known", "关闭，分区未知"),
        Finding::Barred { barred: true } => both!(language, "in place", "存在"),
        Finding::Barred { barred: false } => both!(language, "none", "无"),
        Finding::Limit { at: None, .. } => both!(language, "unknown", "未知"),
        Finding::Limit {
            at: Some(at),
            passed,
            releases,
        } => {
            let passed = match (passed, language) {
                (true, English) => "passed",
                (false, English) => "not reached",
                (true, Chinese) => "已过",
                (false, Chinese) => "未到",
            };
            let then = match (releases, language) {
                (true, English) => "releases",
                (false, English) => "alerts a person",
                (true, Chinese) => "届时解冻",
                (false, Chinese) => "届时提醒人工",
            };
            both!(language, "{at}, {passed}, {then}", "{at}，{passed}，{then}")
        }
        Finding::Blocked { blocked, left } => both!(
            language,
            "{blocked} of {left} blocked",
            "{left} 中 {blocked} 被阻断"
        ),
        Finding::NotBefore { at } => both!(language, "not before {at}", "不早于 {at}"),
        Finding::ClockNotStarted { anchor: it } => {
            let anchor = anchor(*it, language);
            both!(
                language,
                "the clock of the term waits for {anchor}",
                "条款等待{anchor}后计时"
            )
        }
        Finding::CalendarUnknown { calendar } => {
            let calendar = calendar.as_deref().unwrap_or("-");
            both!(
                language,
                "the calendar {calendar} does not know the dates",
                "日历 {calendar} 未涵盖所需日期"
            )
        }
        Finding::BeforeGoingLive { not_before } => both!(
            language,
            "due before release.not_before ({not_before}): needs a person",
            "到期早于 release.not_before（{not_before}）：需人工处理"
        ),
        Finding::DateReached => both!(language, "reached", "已到"),
        Finding::Minimum { minimum: None, .. } => both!(language, "no minimum", "无起付额"),
        Finding::Minimum {
            minimum: Some(minimum),
            due: Some(due),
        } => both!(
            language,
            "{due} due with it, at least {minimum} is paid",
            "同日到期 {due}，起付 {minimum}"
        ),
        Finding::Minimum {
            minimum: Some(minimum),
            due: None,
        } => both!(language, "at least {minimum} is paid", "起付 {minimum}"),
    }
}

pub(super) fn way(way: &Way, language: Language) -> String {
    let who = match (way.who, language) {
        (Who::OrderSystem, English) => "the order system",
        (Who::DisputeSystem, English) => "the dispute system",
        (Who::RefundSystem, English) => "the refund system",
        (Who::CalendarSystem, English) => "the calendars' owner",
        (Who::Operator, English) => "a person of the platform",
        (Who::OrderSystem, Chinese) => "订单系统",
        (Who::DisputeSystem, Chinese) => "争议系统",
        (Who::RefundSystem, Chinese) => "退款系统",
        (Who::CalendarSystem, Chinese) => "日历维护方",
        (Who::Operator, Chinese) => "平台人员",
    };
    let mut what = String::new();
    if let Some(message) = way.message {
        what.push_str(&both!(language, ", by {message}", "，以 {message}"));
    }
    if let Some(about) = &way.about {
        what.push_str(&both!(language, ", about {about}", "，针对 {about}"));
    }
    let then = match &way.then {
        Then::Released {
            amount,
            on: Some(on),
        } => both!(
            language,
            "once cleared now, {amount} goes on {on}",
            "现在解除，则 {amount} 于 {on} 解冻"
        ),
        Then::Released { amount, on: None } => both!(
            language,
            "once cleared, {amount} goes when its dates are known",
            "解除后，{amount} 待日期确定后解冻"
        ),
        Then::StillBlocked => both!(
            language,
            "once cleared, other blocks still keep it",
            "解除后，仍被其他阻断保留"
        ),
        Then::Consumed { up_to } => both!(
            language,
            "if the merchant has to pay, up to {up_to} is taken",
            "若由商户承担，最多扣减 {up_to}"
        ),
        Then::ClockStarts => both!(language, "then its clock starts", "随后开始计时"),
        Then::Dated => both!(language, "then its dates are computed", "随后计算日期"),
        Then::TestedAgain => both!(language, "then the tests are made again", "随后重新检查"),
    };
    both!(language, "{who}{what}: {then}", "{who}{what}：{then}")
}

/// What was asked and said in a review, and what comes next.
pub(super) fn review(it: &ReviewExplained, language: Language) -> String {
    let (id, by) = (&it.review_id, it.respond_by);
    let asked = match &it.reason {
        Some(reason) => both!(language, "asked for because of: {reason}", "原因：{reason}"),
        None => both!(language, "asked for by the amount", "因订单金额而发起"),
    };
    let answered = match it.answered_at {
        Some(at) => both!(language, "answered at {at}", "商户于 {at} 答复"),
        None => both!(language, "to be answered by {by}", "商户须于 {by} 前答复"),
    };
    let ends = match (it.decision, it.closed_at, it.next, it.next_at) {
        (Some(Decision::Passed), Some(at), ..) => both!(language, "passed at {at}", "{at} 通过"),
        (Some(Decision::Rejected), Some(at), ..) => both!(
            language,
            "rejected at {at}: blocked until refunded or cleared",
            "{at} 驳回：在退款或人工解除之前持续阻断"
        ),
        (_, _, Some(next), Some(at)) => {
            let next = moment(next, language);
            both!(
                language,
                "open, next: {next} at {at}",
                "进行中，下一步：{at} {next}"
            )
        }
        _ => both!(language, "open", "进行中"),
    };
    both!(
        language,
        "Review {id}, {asked}; {answered}; {ends}.",
        "审核 {id}：{asked}；{answered}；{ends}。"
    )
}

fn moment(moment: &'static str, language: Language) -> &'static str {
    match (language, moment) {
        (Chinese, "reminder") => "提醒商户",
        (Chinese, "end of the time to answer") => "答复期限届满",
        (Chinese, "alarm about the decision") => "裁决超时告警",
        (_, other) => other,
    }
}

/// What the payout system has answered of a release, and who can act.
pub(super) fn payout(it: &Payout, language: Language) -> String {
    let (amount, release, attempt) = (it.amount, it.release, it.attempt);
    let at = it.at.as_ref().map(Instant::to_string).unwrap_or_default();
    match it.state {
        PayoutState::Paid => both!(
            language,
            "Paid at {at}: {amount} of release {release}, attempt {attempt}.",
            "付款：解冻 {release} 的 {amount} 已于 {at} 支付（第 {attempt} 次）。"
        ),
        PayoutState::Failed => both!(
            language,
            "The payout of {amount} failed at {at}: release {release}, attempt {attempt}. It waits until it is issued again, which an operator can do.",
            "付款：解冻 {release} 的 {amount} 于 {at} 付款失败（第 {attempt} 次），等待重新发放；运营人员可操作。"
        ),
        PayoutState::Issued => both!(
            language,
            "Issued again: {amount} of release {release}, attempt {attempt}, not answered yet.",
            "付款：解冻 {release} 的 {amount} 已重新发放（第 {attempt} 次），尚无结果。"
        ),
    }
}
