"use strict";

// words are the page's two languages. Amounts and codes have none.
const words = {
	zh: {
		title: "学生手机", lab: "实验室替身，不是支付宝，不动真钱", code: "付款码内容", open: "打开", pay: "确认付款", late: "延迟付款",
		seconds: "秒后", look: "只扫码", close: "拒绝付款", trades: "订单", faults: "故障",
		faultsHint: "点一下，下一次就出故障一次。“已生效”指对方已办妥，只是回答丢了。", own: "自定义故障", method: "接口", kind: "故障",
		delay: "时间", fen: "金额（分）", errorCode: "错误码", subCode: "子错误码", booked: "已生效", standing: "一直如此", arm: "布置",
		armed: "已布置", clear: "全部清除", none: "无", unscanned: "等待扫码", waiting: "等待付款", paid: "已付款", closed: "已关闭",
		returned: "已退款", dead: "已失效", onWay: "付款在途", lost: "连不上实验室", notFound: "没有这个码", gone: "这个码已不能付款",
	},
	en: {
		title: "Student's phone", lab: "A stand-in of the lab: not Alipay, and no real money", code: "Text of the code",
		open: "Open", pay: "Pay", late: "Pay late", seconds: "s later", look: "Scan only", close: "Turn down", trades: "Orders",
		faults: "Faults", faultsHint: "One click breaks the next call, once. “Booked” means that it had its effect and only the answer was lost.",
		own: "Any other fault", method: "Call", kind: "Fault", delay: "Time", fen: "Amount (fen)", errorCode: "Code", subCode: "Sub code",
		booked: "Booked", standing: "Until cleared", arm: "Arm", armed: "Armed", clear: "Clear all", none: "none",
		unscanned: "not scanned", waiting: "waiting for payment", paid: "paid", closed: "closed", returned: "given back",
		dead: "not good any more", onWay: "payment on its way", lost: "The lab does not answer", notFound: "No such code",
		gone: "This code can not be paid any more",
	},
};

// presets are the faults that demonstrations need, in both languages.
const presets = [
	["下单 precreate", "Order (precreate)", [
		["拒绝下单", "Refuse it", {method: "precreate", kind: "refuse"}],
		["没办成，断线", "Drop the line, no effect", {method: "precreate", kind: "drop"}],
		["办成了，断线", "Drop the line, booked", {method: "precreate", kind: "drop", booked: true}],
		["慢 20 秒", "20 s slow", {method: "precreate", kind: "delay", delay: "20s"}],
	]],
	["查询 query", "Question (query)", [
		["返回网页", "Answer with a web page", {method: "query", kind: "html"}],
		["签名错误", "Wrong signature", {method: "query", kind: "bad-signature"}],
		["金额被改成 0.01", "Amount altered to 0.01", {method: "query", kind: "amount", amount_fen: 1}],
		["系统错误，一直如此", "System error, until cleared", {method: "query", kind: "error", code: "20000", sub_code: "isp.unknow-error", standing: true}],
	]],
	["撤销 cancel", "Cancel", [
		["撤销后 5 秒付款到账", "Paid 5 s after the cancel", {method: "cancel", kind: "pay-late", delay: "5s"}],
		["办成了，断线", "Drop the line, booked", {method: "cancel", kind: "drop", booked: true}],
		["要求重试", "Ask to repeat it", {method: "cancel", kind: "retry-flag"}],
	]],
	["通知 notify", "Notification", [
		["发两次", "Send it twice", {method: "notify", kind: "twice"}],
		["伪造签名", "Forge it", {method: "notify", kind: "forged"}],
		["第一次丢失", "Lose the first one", {method: "notify", kind: "drop"}],
		["晚 10 秒", "10 s late", {method: "notify", kind: "delay", delay: "10s"}],
	]],
	["退款 refund", "Refund", [
		["办成了，断线", "Drop the line, booked", {method: "refund", kind: "drop", booked: true}],
		["系统错误", "System error", {method: "refund", kind: "error", code: "40004", sub_code: "ACQ.SYSTEM_ERROR"}],
	]],
];

const $ = id => document.getElementById(id);
let language = (navigator.language || "zh").startsWith("zh") ? "zh" : "en";
let list = [], chosen = "", kinds = {};

function t(key) { return words[language][key]; }

function element(tag, text, className) {
	const e = document.createElement(tag);
	e.textContent = text;
	if (className) e.className = className;
	return e;
}

// call returns the answer, or undefined after having said what went wrong.
async function call(path, body) {
	try {
		const options = body && {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)};
		const answer = await fetch(path, options);
		const data = await answer.json();
		if (answer.ok) return data;
		say(answer.status === 404 ? t("notFound") : answer.status === 409 ? t("gone") : data.error);
	} catch {
		say(t("lost"));
	}
}

function say(text) { $("message").textContent = text; }

function state(trade) {
	if (trade.status === "TRADE_SUCCESS") return "paid";
	if (trade.late) return "onWay";
	if (trade.status === "WAIT_BUYER_PAY") return "waiting";
	if (trade.status === "TRADE_CLOSED") return trade.paid_at ? "returned" : "closed";
	return trade.open ? "unscanned" : "dead";
}

function show() {
	const trade = list.find(x => x.out_trade_no === chosen);
	$("trade").hidden = !trade;
	if (trade) {
		$("subject").textContent = trade.subject;
		$("amount").textContent = "¥" + trade.yuan;
		$("status").textContent = t(state(trade));
		$("status").className = {TRADE_SUCCESS: "paid", TRADE_CLOSED: "closed"}[trade.status] || "";
		$("number").textContent = [trade.out_trade_no, trade.terminal].filter(Boolean).join(" · ");
		for (const id of ["pay", "late", "look", "close"]) $(id).disabled = !trade.open || trade.late;
		$("look").disabled ||= trade.status !== "";
	}
	const items = list.map(x => {
		const button = element("button", "");
		button.type = "button";
		button.append(element("span", x.subject), element("span", "¥" + x.yuan, "yuan"),
			element("small", x.out_trade_no), element("small", t(state(x))));
		button.onclick = () => choose(x);
		const item = document.createElement("li");
		item.append(button);
		return item;
	});
	const focused = [...$("trades").querySelectorAll("button")].indexOf(document.activeElement);
	$("trades").replaceChildren(...(items.length ? items : [element("li", t("none"))]));
	if (focused >= 0) $("trades").querySelectorAll("button")[focused]?.focus();
}

function choose(trade) {
	chosen = trade.out_trade_no;
	$("code").value = trade.qr;
	say("");
	show();
}

async function refresh() {
	const answer = await call("/control/trades");
	if (answer) {
		if ($("message").textContent === t("lost")) say("");
		const text = JSON.stringify(answer);
		if (text !== JSON.stringify(list)) {
			list = answer;
			show();
		}
	}
}

async function act(path, extra) {
	say("");
	const trade = await call("/control/" + path, {ref: chosen, ...extra});
	if (trade) await refresh();
}

function showFaults(armed) {
	if (!armed) return;
	const items = armed.map(f => element("li", [
		f.method, f.kind, f.code, f.sub_code, f.delay === "0s" ? "" : f.delay, f.booked ? t("booked") : "",
		f.standing ? t("standing") : "",
	].filter(Boolean).join(" · ")));
	$("armed").replaceChildren(...(items.length ? items : [element("li", t("none"))]));
}

function translate() {
	document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
	for (const e of document.querySelectorAll("[data-t]")) e.textContent = t(e.dataset.t);
	$("language").textContent = language === "zh" ? "English" : "中文";
	$("language").lang = language === "zh" ? "en" : "zh-CN";
	const rows = [];
	for (const [zh, en, faults] of presets) {
		rows.push(element("h3", language === "zh" ? zh : en));
		for (const [zhText, enText, fault] of faults) {
			const button = element("button", language === "zh" ? zhText : enText);
			button.type = "button";
			button.onclick = async () => showFaults(await call("/control/faults", fault));
			rows.push(button);
		}
	}
	$("presets").replaceChildren(...rows);
	show();
}

function fill(select, values) {
	select.replaceChildren(...values.map(v => element("option", v)));
}

$("language").onclick = () => { language = language === "zh" ? "en" : "zh"; translate(); };
$("scan").onsubmit = async event => {
	event.preventDefault();
	await refresh();
	const text = $("code").value.trim();
	const trade = list.find(x => x.qr === text || x.out_trade_no === text);
	trade ? choose(trade) : say(t("notFound"));
};
$("pay").onclick = () => act("pay");
$("late").onclick = () => act("pay", {late: Math.max(1, Number($("seconds").value) || 5) + "s"});
$("look").onclick = () => act("scan");
$("close").onclick = () => act("close");
$("method").onchange = () => fill($("kind"), kinds[$("method").value] || []);
$("fault").onsubmit = async event => {
	event.preventDefault();
	const f = {method: $("method").value, kind: $("kind").value, booked: $("booked").checked, standing: $("standing").checked};
	if (["delay", "pay-late"].includes(f.kind)) f.delay = $("delay").value;
	if (f.kind === "amount") f.amount_fen = Number($("fen").value);
	if (f.kind === "error") Object.assign(f, {code: $("errorCode").value, sub_code: $("subCode").value});
	showFaults(await call("/control/faults", f));
};
$("clear").onclick = async () => showFaults(await call("/control/faults/clear", {}));

async function start() {
	translate();
	kinds = await call("/control/kinds") || {};
	fill($("method"), Object.keys(kinds));
	$("method").onchange();
	await refresh();
	const code = new URLSearchParams(location.search).get("qr");
	const trade = list.find(x => x.qr === code) || list.find(x => x.open);
	if (trade) choose(trade);
	setInterval(async () => {
		await refresh();
		showFaults(await call("/control/faults"));
	}, 1000);
}

start();
