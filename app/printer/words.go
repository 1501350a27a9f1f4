package printer

// Words are what is printed on receipts, in a language. They are not those of the
// screens: paper is narrow, and one person reads it at home.
type Words struct {
	Sale, Refund, X, Z string
	Time, Number       string
	Operator           string
	Original           string
	Total, Paid        string
	Card, Holder       string
	Balance            string
	Offline            string
	Proof              string
	Training           string
	Means              map[Means]string

	Fees, Brought, Float, CashTopUps, PayOuts, CashIn, CashOut string
	Over, Short, Till, Suspense, Perpetual, NoSales            string
	Unsynced, Part                                             string

	Marks Marks
}

// Chinese are the words of most receipts.
var Chinese = Words{
	Sale: "消费小票", Refund: "退款", X: "交班中报表 X%d", Z: "交班报表 Z%d",
	Time: "时间", Number: "票号", Operator: "收银员", Original: "原票号",
	Total: "合计", Paid: "支付方式", Card: "卡号", Holder: "持卡人", Balance: "余额",
	Offline: "脱机交易，稍后入账", Proof: "扫码核验本小票", Training: "练习 无效",
	Means: map[Means]string{ByCard: "校园卡", ByCode: "虚拟卡码", ByChannel: "支付宝"},
	Fees:  "工本费", Brought: "上班留存", Float: "备用金", CashTopUps: "现金充值", PayOuts: "退卡付现",
	CashIn: "存入", CashOut: "取出", Over: "长款", Short: "短款", Till: "钱箱应有",
	Suspense: "待查", Perpetual: "累计销售", NoSales: "无交易开箱", Unsynced: "未上传笔数", Part: "本机更换过日志，累计可能不全",
	Marks: Marks{Copy: "副本 %d", Unsure: "补打"},
}

// English are the words for who reads no Chinese.
var English = Words{
	Sale: "Receipt", Refund: "Refund", X: "X report %d", Z: "Z report %d",
	Time: "Time", Number: "No.", Operator: "Cashier", Original: "Of receipt",
	Total: "Total", Paid: "Paid by", Card: "Card", Holder: "Holder", Balance: "Balance",
	Offline: "Sold offline; booked later", Proof: "Scan to verify this receipt", Training: "TRAINING",
	Means: map[Means]string{ByCard: "Campus card", ByCode: "Virtual card", ByChannel: "Alipay"},
	Fees:  "Fees", Brought: "Brought forward", Float: "Float", CashTopUps: "Cash top-ups", PayOuts: "Pay-outs",
	CashIn: "Cash in", CashOut: "Cash out", Over: "Over", Short: "Short", Till: "In the drawer",
	Suspense: "In suspense", Perpetual: "Sold ever", NoSales: "Drawer opened", Unsynced: "Not sent yet",
	Part:  "The journal was renewed: totals may be partial",
	Marks: Marks{Copy: "Copy %d", Unsure: "Reprint"},
}
