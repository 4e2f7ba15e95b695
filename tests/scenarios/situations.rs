//! Situations of an order, and the sentences that matter in each, in English and in Chinese.

/// A situation: what happened, when it is asked, the first test that fails (of the first hold), and
/// sentences in English and in Chinese.
pub struct Situation {
    pub name: &'static str,
    pub lines: &'static [&'static str],
    pub asked: &'static str,
    pub fails: Option<&'static str>,
    pub says: &'static [(&'static str, &'static str)],
}

pub const SALE: &str = "agreement sale 90% 7d; reserve 10% 30d";
pub const COMPLETED: &str = "05-01 completed O1 100.00 CNY fees 3.00";

pub const SITUATIONS: &[Situation] = &[
    Situation {
        name: "only the date is missing",
        lines: &[SALE, COMPLETED],
        asked: "05-03",
        fails: Some("release date"),
        says: &[
            (
                "Order O1 of merchant M1 is held at 2026-05-02T16:00:00Z.",
                "商户 M1 的订单 O1：截至 2026-05-02T16:00:00Z，冻结中。",
            ),
            (
                "Completed at 2026-05-01T04:00:00Z by order-completed/0/7: 100.00 CNY, fees 3.00.",
                "订单完成于 2026-05-01T04:00:00Z（消息 order-completed/0/7）：金额 100.00 CNY，手续费 3.00。",
            ),
            (
                "Held under agreement AG-1 version 1; 0.00 is held by no term.",
                "适用协议 AG-1 版本 1；0.00 不在任何冻结条款之内。",
            ),
            (
                "amount: 100.00 × 9000/10000 + 0.00 = 90.00",
                "金额：100.00 × 9000/10000 + 0.00 = 90.00",
            ),
            (
                "90.00 = 90.00 left + 0.00 consumed + 0.00 released + 0.00 reversed",
                "90.00 = 剩余 90.00 + 已扣减 0.00 + 已解冻 0.00 + 已撤销 0.00",
            ),
            (
                "term: 7 calendar days from completion, to the end of the last day, in Asia/Shanghai",
                "期限：自订单完成起 7 个自然日，至末日结束，时区 Asia/Shanghai",
            ),
            (
                "clock runs from 2026-05-01T04:00:00Z",
                "自 2026-05-01T04:00:00Z 起计时",
            ),
            (
                "90.00 (0.00 blocked): window ends 2026-05-08T16:00:00Z, eligible 2026-05-08T16:00:00Z, goes 2026-05-08T16:00:00Z, settlement 2026-05-09",
                "90.00（其中 0.00 被阻断）：期限止于 2026-05-08T16:00:00Z，2026-05-08T16:00:00Z 起可解冻，2026-05-08T16:00:00Z 解冻，结算日 2026-05-09",
            ),
            (
                "wait release date: not before 2026-05-08T16:00:00Z",
                "未过 解冻日期：不早于 2026-05-08T16:00:00Z",
            ),
            (
                "ok   limit: 2026-10-27T16:00:00Z, not reached, alerts a person",
                "通过 最长期限：2026-10-27T16:00:00Z，未到，届时提醒人工",
            ),
            (
                "Waits because of: release date. Expected on 2026-05-09.",
                "等待原因：解冻日期。预计 2026-05-09 解冻。",
            ),
        ],
    },
    Situation {
        name: "due, and nothing in the way",
        lines: &[SALE, COMPLETED],
        asked: "05-09",
        fails: None,
        says: &[("Goes now.", "现在即可解冻。")],
    },
    Situation {
        name: "a dispute over a part, and refunds that name it",
        lines: &[
            SALE,
            COMPLETED,
            "05-02 disputed O1 D1 return 30.00",
            "05-03 refunded O1 R1 10.00 CNY for D1",
            "05-03 updated O1 D2 v1 5.00",
        ],
        asked: "05-10",
        fails: Some("other blocks"),
        says: &[
            (
                "wait other blocks: 20.00 of 80.00 blocked",
                "未过 其他阻断：80.00 中 20.00 被阻断",
            ),
            (
                "Block: dispute D1 (return), 30.00, since 2026-05-02T04:00:00Z by dispute/1/3.",
                "阻断：争议 D1（退货），30.00，自 2026-05-02T04:00:00Z 起（消息 dispute/1/3）。",
            ),
            (
                "Who can act: the dispute system, by dispute.closed.v1, about D1: once cleared now, 20.00 goes on 2026-05-10.",
                "可行动者：争议系统，以 dispute.closed.v1，针对 D1：现在解除，则 20.00 于 2026-05-10 解冻。",
            ),
            (
                "Charged 10.00 for refund R1 of 10.00 by refund/0/9: 0.00 out of reversed money, 10.00 out of holds, 0.00 out of the deposit, 0.00 as a receivable.",
                "退款 R1（10.00）（消息 refund/0/9）：共计 10.00，其中已撤销款 0.00，冻结扣减 10.00，保证金 0.00，应收 0.00。",
            ),
            (
                "Waiting: dispute.updated:D2:1.",
                "等待处理的消息：dispute.updated:D2:1。",
            ),
        ],
    },
    Situation {
        name: "a refund that did not go through",
        lines: &[
            SALE,
            COMPLETED,
            "05-03 refunded O1 R1 10.00 CNY",
            "05-04 reversed O1 R1",
        ],
        asked: "05-05",
        fails: Some("release date"),
        says: &[(
            "The refund R1 of 10.00 by refund/0/9 did not go through, as was told at 2026-05-04T04:00:00Z: what it had charged went back.",
            "退款 R1（10.00）（消息 refund/0/9）未成功（2026-05-04T04:00:00Z 告知），已扣款项已退回。",
        )],
    },
    Situation {
        name: "a chargeback and a legal block at once",
        lines: &[
            SALE,
            COMPLETED,
            "05-02 disputed O1 D1 chargeback",
            "05-03 blocked O1 LAW legal",
        ],
        asked: "05-10",
        fails: Some("legal or review block"),
        says: &[
            (
                "wait legal or review block: in place",
                "未过 法务或审核阻断：存在",
            ),
            (
                "Block: legal LAW (because), the whole order, since 2026-05-03T04:00:00Z.",
                "阻断：法务 LAW（because），整个订单，自 2026-05-03T04:00:00Z 起。",
            ),
            (
                "Who can act: a person of the platform, about LAW: once cleared, other blocks still keep it.",
                "可行动者：平台人员，针对 LAW：解除后，仍被其他阻断保留。",
            ),
            (
                "about D1: if the merchant has to pay, up to 100.00 is taken.",
                "针对 D1：若由商户承担，最多扣减 100.00。",
            ),
            (
                "Waits because of: legal or review block. No date can be expected.",
                "等待原因：法务或审核阻断。无法预计日期。",
            ),
        ],
    },
    Situation {
        name: "a block that was cleared, and until when",
        lines: &[
            SALE,
            COMPLETED,
            "05-02 disputed O1 D1 complaint",
            "05-12 closed O1 D1 won",
        ],
        asked: "05-12",
        fails: Some("release date"),
        says: &[
            (
                "since 2026-05-02T04:00:00Z by dispute/1/3 until 2026-05-12T04:00:00Z by dispute/1/8.",
                "自 2026-05-02T04:00:00Z 起（消息 dispute/1/3），至 2026-05-12T04:00:00Z（消息 dispute/1/8）。",
            ),
            (
                "Waits because of: release date. Expected on 2026-05-13.",
                "等待原因：解冻日期。预计 2026-05-13 解冻。",
            ),
        ],
    },
    Situation {
        name: "a refund is expected after the closing",
        lines: &[
            SALE,
            COMPLETED,
            "05-02 disputed O1 D1 return 30.00",
            "05-03 closed O1 D1 resolved expecting 25.00",
        ],
        asked: "05-10",
        fails: Some("other blocks"),
        says: &[(
            "Who can act: the refund system, by refund.succeeded.v1, about D1: if the merchant has to pay, up to 25.00 is taken.",
            "可行动者：退款系统，以 refund.succeeded.v1，针对 D1：若由商户承担，最多扣减 25.00。",
        )],
    },
    Situation {
        name: "not delivered yet",
        lines: &["agreement sale 100% 7d from delivered", COMPLETED],
        asked: "05-10",
        fails: Some("release date"),
        says: &[
            ("clock has not started", "尚未开始计时"),
            (
                "97.00 (0.00 blocked): no dates yet",
                "97.00（其中 0.00 被阻断）：日期未定",
            ),
            (
                "wait release date: the clock of the term waits for delivery",
                "未过 解冻日期：条款等待签收后计时",
            ),
            (
                "Who can act: the order system, by order.delivered.v1: then its clock starts.",
                "可行动者：订单系统，以 order.delivered.v1：随后开始计时。",
            ),
        ],
    },
    Situation {
        name: "delivered, and by which message",
        lines: &[
            "agreement sale 100% 7d from delivered",
            COMPLETED,
            "05-04 delivered O1",
        ],
        asked: "05-10",
        fails: Some("release date"),
        says: &[
            (
                "Delivered at 2026-05-04T04:00:00Z.",
                "签收于 2026-05-04T04:00:00Z。",
            ),
            (
                "clock runs from 2026-05-04T04:00:00Z by order-completed/0/8",
                "自 2026-05-04T04:00:00Z 起计时（消息 order-completed/0/8）",
            ),
        ],
    },
    Situation {
        name: "a calendar that nobody has published",
        lines: &["agreement sale 100% 7d business; calendar CN", COMPLETED],
        asked: "05-10",
        fails: Some("release date"),
        says: &[
            (
                "wait release date: the calendar CN does not know the dates",
                "未过 解冻日期：日历 CN 未涵盖所需日期",
            ),
            (
                "Who can act: the calendars' owner, by calendar.published.v1, about CN: then its dates are computed.",
                "可行动者：日历维护方，以 calendar.published.v1，针对 CN：随后计算日期。",
            ),
        ],
    },
    Situation {
        name: "a limit that releases what is disputed",
        lines: &[
            "agreement sale 100% 7d limit 20d at_limit release",
            COMPLETED,
            "05-02 disputed O1 D1 complaint",
        ],
        asked: "05-10",
        fails: Some("other blocks"),
        says: &[
            (
                "ok   limit: 2026-05-20T16:00:00Z, not reached, releases",
                "通过 最长期限：2026-05-20T16:00:00Z，未到，届时解冻",
            ),
            (
                "Waits because of: other blocks. Expected on 2026-05-21.",
                "等待原因：其他阻断。预计 2026-05-21 解冻。",
            ),
        ],
    },
    Situation {
        name: "under the minimum of its settlement",
        lines: &["agreement sale 100% 7d; minimum 150", COMPLETED],
        asked: "05-09",
        fails: Some("settlement minimum"),
        says: &[
            (
                "wait settlement minimum: 120.00 due with it, at least 150.00 is paid",
                "未过 结算起付额：同日到期 120.00，起付 150.00",
            ),
            (
                "Waits because of: settlement minimum. No date can be expected.",
                "等待原因：结算起付额。无法预计日期。",
            ),
        ],
    },
    Situation {
        name: "cancelled after its release, with a refund: the merchant owes",
        lines: &[
            "agreement sale 100% 7d",
            COMPLETED,
            "clock 05-10",
            "05-11 refunded O1 R1 40.00 CNY",
        ],
        asked: "05-12",
        fails: Some("left"),
        says: &[
            ("Nothing is left.", "已无余额。"),
            (
                "Owed since 2026-05-11T04:00:00Z for refund R1: 40.00 of 40.00.",
                "应收：自 2026-05-11T04:00:00Z 起，因 退款 R1，尚欠 40.00（原 40.00）。",
            ),
        ],
    },
    Situation {
        name: "no agreement",
        lines: &[COMPLETED],
        asked: "05-10",
        fails: None,
        says: &[(
            "No agreement is in force: it waits for one (agreement.published.v1).",
            "没有生效的协议：等待协议发布（agreement.published.v1）。",
        )],
    },
    Situation {
        name: "two reviews, one ended by silence",
        lines: &[
            "agreement sale 100% 7d; review 100; review silence reject",
            "05-01 completed O1 100.00 CNY",
            "05-02 reviewed O1 V1 by 05-10",
            "watch 05-03T12:00",
            "05-04 answered O1 V1",
        ],
        asked: "05-10",
        fails: Some("legal or review block"),
        says: &[
            (
                "asked for by the amount; to be answered by 2026-05-03T04:00:00Z; rejected at 2026-05-03T04:00:00Z: blocked until refunded or cleared.",
                "因订单金额而发起；商户须于 2026-05-03T04:00:00Z 前答复；2026-05-03T04:00:00Z 驳回：在退款或人工解除之前持续阻断。",
            ),
            (
                "Review V1, asked for because of: looks odd; answered at 2026-05-04T04:00:00Z; open, next: alarm about the decision at 2026-05-07T04:00:00Z.",
                "审核 V1：原因：looks odd；商户于 2026-05-04T04:00:00Z 答复；进行中，下一步：2026-05-07T04:00:00Z 裁决超时告警。",
            ),
        ],
    },
];
