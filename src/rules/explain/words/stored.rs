//! Texts of ours that are kept, or told to machines, in English, and what they are in Chinese. What
//! people and other systems have typed stays as it is.

use super::Language::{self, Chinese, English};
use crate::rules::explain::BlockExplained;
use crate::rules::order::Block;
use crate::rules::pause::{Pause, Scope};

/// Why a block is there.
pub(super) fn reason(block: &BlockExplained, language: Language) -> String {
    let reason = block.reason.as_str();
    let translated = match (language, block.block) {
        (Chinese, "dispute") => dispute(reason).map(str::to_owned),
        (Chinese, "review") => review(reason),
        _ => None,
    };
    translated.unwrap_or_else(|| reason.to_owned())
}

fn dispute(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "complaint" => "投诉",
        "return" => "退货",
        "exchange" => "换货",
        "chargeback" => "拒付",
        "inquiry" => "调单",
        _ => return None,
    })
}

fn review(reason: &str) -> Option<String> {
    match reason {
        "threshold" => return Some("订单金额达到审核标准".to_owned()),
        "requested" => return Some("收到审核要求".to_owned()),
        Block::OF_ANOTHER => return Some("另一商户的消息提及此订单".to_owned()),
        _ => {}
    }
    let word = reason.strip_prefix(Block::REFUSED)?.strip_prefix(": ")?;
    let why = match word {
        "malformed" => "无法解析",
        "schema" => "结构不符",
        "unknown_type" => "类型未知",
        "money" => "金额有误",
        "too_large" => "消息过大",
        "text" => "含控制字符",
        "value" => "取值有误",
        "conflict" => "与已有内容冲突",
        "mismatch" => "与订单不符",
        "time" => "时间不合理",
        "too_old" => "时间过早",
        "refund_exceeds_order" => "退款超出订单金额",
        "approval" => "需要第二人批准",
        "too_many" => "此订单的消息过多",
        "dropped" => "人工放弃等待",
        _ => "原因见死信",
    };
    Some(format!("有关此订单的消息被拒收：{why}（{word}）"))
}

/// What a debt is for: the kind and the id of its cause.
pub(super) fn cause(cause: &str, language: Language) -> String {
    let Some((kind, id)) = cause.split_once(' ').filter(|_| language == Chinese) else {
        return cause.to_owned();
    };
    let kind = match kind {
        "refund" => "退款",
        "dispute" => "争议",
        "withdrawal" => "保证金提取",
        "adjustment" => "调账",
        "import" => "前系统导入",
        "reconcile" => "对账",
        _ => return cause.to_owned(),
    };
    format!("{kind} {id}")
}

/// An agreement's id and version.
pub(super) fn agreement(text: &str, language: Language) -> String {
    match (language, text.rsplit_once(" version ")) {
        (Chinese, Some((id, version))) => format!("{id} 版本 {version}"),
        _ => text.to_owned(),
    }
}

/// The steps by which a hold's amount was reached.
pub(super) fn calculation(text: &str, language: Language) -> String {
    if language == English {
        return text.to_owned();
    }
    text.replace(", raised to the minimum ", "，提高至下限 ")
        .replace(", cut to the maximum ", "，降低至上限 ")
        .replace(", cut to what is left ", "，以余额为限 ")
        .replace("taken over: ", "前系统移交：")
}

/// Who keeps releases from happening, since when, and why.
pub(super) fn pause(pause: &Pause, language: Language) -> String {
    if language == English {
        return pause.to_string();
    }
    let scope = match &pause.scope {
        Scope::All => "全部解冻".to_owned(),
        Scope::Currency(currency) => format!("{currency} 的解冻"),
        Scope::Merchant(merchant) => format!("商户 {merchant} 的解冻"),
    };
    let (since, actor, reason) = (pause.since, &pause.actor, &pause.reason);
    format!("{scope}自 {since} 起由 {actor} 暂停：{reason}")
}
