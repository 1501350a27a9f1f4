package alipay

import (
	"context"
	"errors"
	"fmt"
	"strings"

	sdk "github.com/smartwalle/alipay/v3"

	"quancun/upstream/channel"
)

// The methods of the gateway that this package calls.
const (
	precreate   = "alipay.trade.precreate"
	pay         = "alipay.trade.pay"
	query       = "alipay.trade.query"
	cancel      = "alipay.trade.cancel"
	refund      = "alipay.trade.refund"
	refundQuery = "alipay.trade.fastpay.refund.query"
	billURL     = "alipay.data.dataservice.bill.downloadurl.query"
)

// verdict is what a signed answer means.
type verdict int

const (
	unknown verdict = iota // the service may have done it; ask again
	done
	refused // nothing was moved, and asking again changes nothing
	missing // there is no such trade, or no such bill
)

// every stands for all methods that have no line of their own.
const every = ""

// rule is one line of the table. A line for a method goes before the line for
// every method, and one with a sub code before one without.
type rule struct {
	method, code, sub string
	verdict           verdict
	why               string
}

// rules is the whole mapping from codes to outcomes. What is not in it is
// unknown: an answer that nobody foresaw is a reason to ask again and never a
// reason to tell a payer that nothing happened.
//
// The asymmetry between methods is on purpose. Precreate may be refused for
// the gateway's own reasons, since the payer has not seen a code yet. A cancel
// or a refund so turned away says nothing of an earlier attempt, and works
// again once somebody has corrected the settings: unknown. A question is never
// refused: a query that was not answered has to be asked again.
var rules = []rule{
	{every, "10000", "", done, ""},
	{every, "10003", "", unknown, "accepted, outcome pending"}, // not success, whatever the library says
	{every, "20000", "", unknown, "service not available"},
	{every, "40004", "ACQ.SYSTEM_ERROR", unknown, "system error; repeat with the same number"},
	{every, "40004", "AQC.SYSTEM_ERROR", unknown, "system error; repeat with the same number"}, // sic
	{every, "40005", "", unknown, "called too often"},
	{every, "20001", "", unknown, "no authorization; correct the settings, then repeat"},
	{every, "40001", "", unknown, "parameter missing; correct the settings, then repeat"},
	{every, "40002", "", unknown, "parameter invalid; correct the settings, then repeat"},
	{every, "40003", "", unknown, "conditions not met; correct the settings, then repeat"},
	{every, "40006", "", unknown, "no permission; correct the settings, then repeat"},

	{precreate, "20001", "", refused, "no authorization"},
	{precreate, "40001", "", refused, "parameter missing"},
	{precreate, "40002", "", refused, "parameter invalid"},
	{precreate, "40003", "", refused, "conditions not met"},
	{precreate, "40006", "", refused, "no permission for this method"},
	{precreate, "40004", "ACQ.TRADE_HAS_SUCCESS", unknown, "paid already; query it"},
	{precreate, "40004", "ACQ.TRADE_HAS_FINISHED", unknown, "paid already; query it"},
	{precreate, "40004", "ACQ.TRADE_HAS_CLOSE", refused, "this number is closed for good"},
	{precreate, "40004", "ACQ.CONTEXT_INCONSISTENT", refused, "the number belongs to an order with other content"},
	{precreate, "40004", "ACQ.TRADE_BUYER_NOT_MATCH", refused, "the number belongs to another buyer's trade"},
	{precreate, "40004", "ACQ.INVALID_PARAMETER", refused, "parameter invalid"},
	{precreate, "40004", "ACQ.INVALID_STORE_ID", refused, "store number invalid"},
	{precreate, "40004", "ACQ.ACCESS_FORBIDDEN", refused, "no contract for this product"},
	{precreate, "40004", "ACQ.EXIST_FORBIDDEN_WORD", refused, "forbidden word in the subject"},
	{precreate, "40004", "ACQ.PARTNER_ERROR", refused, "app ID not valid"},
	{precreate, "40004", "ACQ.TOTAL_FEE_EXCEED", refused, "amount above the limit of the contract"},
	{precreate, "40004", "ACQ.PRODUCT_AMOUNT_LIMIT_ERROR", refused, "amount above the limit of the product"},
	{precreate, "40004", "ACQ.SELLER_BEEN_BLOCKED", refused, "the merchant is blocked"},
	{precreate, "40004", "ACQ.MERCHANT_AGREEMENT_NOT_EXIST", refused, "no contract"},

	{pay, "20001", "", refused, "no authorization"},
	{pay, "40001", "", refused, "parameter missing"},
	{pay, "40002", "", refused, "parameter invalid"},
	{pay, "40003", "", refused, "conditions not met"},
	{pay, "40006", "", refused, "no permission for this method"},
	{pay, "40004", "ACQ.PAYMENT_AUTH_CODE_INVALID", refused, "the payer's code is wrong, used or too old"},
	{pay, "40004", "ACQ.SOUNDWAVE_PARSER_FAIL", refused, "the payer's code is wrong, used or too old"},
	{pay, "40004", "ACQ.BUYER_BALANCE_NOT_ENOUGH", refused, "the payer has too little"},
	{pay, "40004", "ACQ.BUYER_BANKCARD_BALANCE_NOT_ENOUGH", refused, "the payer's bank card has too little"},
	{pay, "40004", "ACQ.ERROR_BALANCE_PAYMENT_DISABLE", refused, "the payer has switched balance payment off"},
	{pay, "40004", "ACQ.BUYER_ENABLE_STATUS_FORBID", refused, "the payer's account may not pay"},
	{pay, "40004", "ACQ.BUYER_PAYMENT_AMOUNT_DAY_LIMIT_ERROR", refused, "the payer's limit of the day"},
	{pay, "40004", "ACQ.BUYER_PAYMENT_AMOUNT_MONTH_LIMIT_ERROR", refused, "the payer's limit of the month"},
	{pay, "40004", "ACQ.BEYOND_PAY_RESTRICTION", refused, "the payer's limit"},
	{pay, "40004", "ACQ.BEYOND_PER_RECEIPT_RESTRICTION", refused, "the limit for one payment"},
	{pay, "40004", "ACQ.PULL_MOBILE_CASHIER_FAIL", refused, "the payer's phone could not be asked"},
	{pay, "40004", "ACQ.MOBILE_PAYMENT_SWITCH_OFF", refused, "the payer has switched mobile payment off"},
	{pay, "40004", "ACQ.PAYMENT_FAIL", refused, "the payment failed"},
	{pay, "40004", "ACQ.NO_PAYMENT_INSTRUMENTS_AVAILABLE", refused, "the payer has nothing to pay with"},
	{pay, "40004", "ACQ.BUYER_SELLER_EQUAL", refused, "the payer is the merchant"},
	{pay, "40004", "ACQ.TRADE_HAS_SUCCESS", unknown, "paid already; query it"},
	{pay, "40004", "ACQ.TRADE_HAS_FINISHED", unknown, "paid already; query it"},
	{pay, "40004", "ACQ.TRADE_HAS_CLOSE", refused, "this number is closed for good"},
	{pay, "40004", "ACQ.CONTEXT_INCONSISTENT", refused, "the number belongs to an order with other content"},
	{pay, "40004", "ACQ.TRADE_BUYER_NOT_MATCH", refused, "the number belongs to another buyer's trade"},
	{pay, "40004", "ACQ.INVALID_PARAMETER", refused, "parameter invalid"},
	{pay, "40004", "ACQ.ACCESS_FORBIDDEN", refused, "no contract for this product"},
	{pay, "40004", "ACQ.EXIST_FORBIDDEN_WORD", refused, "forbidden word in the subject"},
	{pay, "40004", "ACQ.PARTNER_ERROR", refused, "app ID not valid"},
	{pay, "40004", "ACQ.TOTAL_FEE_EXCEED", refused, "amount above the limit of the contract"},
	{pay, "40004", "ACQ.SELLER_BEEN_BLOCKED", refused, "the merchant is blocked"},
	{pay, "40004", "ACQ.MERCHANT_AGREEMENT_NOT_EXIST", refused, "no contract"},

	{query, "40004", "ACQ.TRADE_NOT_EXIST", missing, "nobody has scanned it"},

	{cancel, "40004", "ACQ.TRADE_NOT_EXIST", missing, "nobody has scanned it"},
	{cancel, "40004", "ACQ.SELLER_BALANCE_NOT_ENOUGH", unknown, "the merchant's balance is too low to give it back"},
	{cancel, "40004", "ACQ.CANCEL_NOT_ALLOWED", refused, "this trade can not be cancelled"},
	{cancel, "40004", "ACQ.INVALID_PARAMETER", refused, "parameter invalid"},
	{cancel, "40004", "ACQ.REASON_TRADE_BEEN_FREEZEN", refused, "the trade is frozen"},
	{cancel, "40004", "ACQ.REASON_TRADE_REFUND_FEE_ERR", refused, "some of it was given back before"},
	{cancel, "40004", "ACQ.TRADE_CANCEL_TIME_OUT", refused, "too late to cancel; refund it"},
	{cancel, "40004", "ACQ.TRADE_HAS_FINISHED", refused, "the trade is finished"},

	{refund, "40004", "ACQ.SELLER_BALANCE_NOT_ENOUGH", unknown, "the merchant's balance is too low; repeat later"},
	{refund, "40004", "ACQ.TRADE_NOT_EXIST", refused, "there is no such trade"},
	{refund, "40004", "ACQ.INVALID_PARAMETER", refused, "parameter invalid"},
	{refund, "40004", "ACQ.TRADE_STATUS_ERROR", refused, "the trade is not paid"},
	{refund, "40004", "ACQ.TRADE_HAS_FINISHED", refused, "the trade is finished"},
	{refund, "40004", "ACQ.TRADE_HAS_CLOSE", refused, "the trade is closed"},
	{refund, "40004", "ACQ.TRADE_NOT_ALLOW_REFUND", refused, "this trade can not be refunded"},
	{refund, "40004", "ACQ.REASON_TRADE_BEEN_FREEZEN", refused, "the trade is frozen"},
	{refund, "40004", "ACQ.REASON_TRADE_REFUND_FEE_ERR", refused, "more than is left of the trade"},
	{refund, "40004", "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL", refused, "more than was paid"},
	{refund, "40004", "ACQ.REFUND_FEE_ERROR", refused, "amount invalid"},
	{refund, "40004", "ACQ.DISCORDANT_REPEAT_REQUEST", refused, "the refund number belongs to another amount"},

	// The first is what the gateway answers, the others are what its documents say.
	{billURL, "40004", "isp.bill_not_exist", missing, "no bill for this day, or not yet"},
	{billURL, "40004", "BILL_NOT_EXIST", missing, "no bill for this day, or not yet"},
	{billURL, "40004", "NO_BILL_DATA", missing, "no bill for this day"},
}

// judge returns the rule for a signed answer. The zero rule is unknown.
func judge(method, code, sub string) rule {
	var best rule
	for _, r := range rules {
		if r.code != code || r.method != every && r.method != method || r.sub != "" && r.sub != sub {
			continue
		}
		if best.code == "" || r.method != every && best.method == every || r.sub != "" && best.sub == "" {
			best = r
		}
	}
	return best
}

// answer is an answer of the service that is not "done". It is
// channel.ErrRefused only if the table says so.
type answer struct {
	rule
	method, code, sub string
}

func (a *answer) Error() string {
	s := "alipay: " + a.method + ": " + a.code + " " + a.sub
	if a.why != "" {
		s += " (" + a.why + ")"
	}
	return s
}

// causes are what a payer can be told about a code that was refused.
var causes = map[string]error{
	"ACQ.PAYMENT_AUTH_CODE_INVALID": channel.ErrCode,
	"ACQ.SOUNDWAVE_PARSER_FAIL":     channel.ErrCode,

	"ACQ.BUYER_BALANCE_NOT_ENOUGH":               channel.ErrPayer,
	"ACQ.BUYER_BANKCARD_BALANCE_NOT_ENOUGH":      channel.ErrPayer,
	"ACQ.ERROR_BALANCE_PAYMENT_DISABLE":          channel.ErrPayer,
	"ACQ.BUYER_ENABLE_STATUS_FORBID":             channel.ErrPayer,
	"ACQ.BUYER_PAYMENT_AMOUNT_DAY_LIMIT_ERROR":   channel.ErrPayer,
	"ACQ.BUYER_PAYMENT_AMOUNT_MONTH_LIMIT_ERROR": channel.ErrPayer,
	"ACQ.BEYOND_PAY_RESTRICTION":                 channel.ErrPayer,
	"ACQ.BEYOND_PER_RECEIPT_RESTRICTION":         channel.ErrPayer,
	"ACQ.PULL_MOBILE_CASHIER_FAIL":               channel.ErrPayer,
	"ACQ.MOBILE_PAYMENT_SWITCH_OFF":              channel.ErrPayer,
	"ACQ.PAYMENT_FAIL":                           channel.ErrPayer,
	"ACQ.NO_PAYMENT_INSTRUMENTS_AVAILABLE":       channel.ErrPayer,
	"ACQ.BUYER_SELLER_EQUAL":                     channel.ErrPayer,
}

// Is makes a refused answer channel.ErrRefused for errors.Is, and the refusal
// of a code what its payer can be told.
func (a *answer) Is(target error) bool {
	if a.verdict != refused {
		return false
	}
	return target == channel.ErrRefused || a.method == pay && target == causes[a.sub] && target != nil
}

// head is what every answer begins with. Answers are read into types of this
// package, which name only what it acts upon: the library's own name a hundred
// fields more, and one of them that came in another shape would leave a paid
// trade unreadable for good.
type head struct {
	Code    string `json:"code"`
	SubCode string `json:"sub_code"`
}

func (h *head) codes() (code, sub string) { return h.Code, h.SubCode }

// call sends one request, and reads a signed answer into result. It returns
// nil only if that answer says "done", and an *answer if it says something
// else. Everything else is unknown.
func (c *Client) call(ctx context.Context, p sdk.Param, result interface{ codes() (code, sub string) }) error {
	if err := c.sdk.Request(ctx, p, result); err != nil {
		return fmt.Errorf("alipay: %s: %w", p.APIName(), public(err))
	}
	code, sub := result.codes()
	r := judge(p.APIName(), code, sub)
	if r.verdict == done {
		return nil
	}
	return &answer{rule: r, method: p.APIName(), code: word(code), sub: word(sub)}
}

// public returns err without anything that a log should not hold. The library
// turns an unsigned answer into its Error, whose message may quote the whole
// request as it was signed.
func public(err error) error {
	var unsigned *sdk.Error
	if !errors.As(err, &unsigned) {
		return err
	}
	if unsigned == nil {
		return errors.New("answer is not signed")
	}
	return fmt.Errorf("answer is not signed: %s %s", word(string(unsigned.Code)), word(unsigned.SubCode))
}

// word returns s if it looks like a code, so that whatever else a stranger puts
// in its place stays out of the log, and "-" if there is none.
func word(s string) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"
	if s == "" {
		return "-"
	}
	if len(s) > 64 || strings.Trim(s, letters) != "" {
		return "?"
	}
	return s
}
