package srun

import (
	"encoding/json"
	"errors"
	"testing"

	"quancun/money"
	"quancun/upstream/biller/vendor"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		`{"code":0,"message":"ok"}`:             "done",
		`{"code":"0","message":"ok","data":[]}`: "done",
		`"{\"code\":0,\"data\":{\"a\":1}}"`:     "done",
		`{"code":10702,"message":"订单号已存在"}`:     "10702",
		`{"code":"401"}`:                        "401",
		`{"message":"ok"}`:                      "nothing",
		`{"code":null}`:                         "nothing",
		`{"code":{"a":0}}`:                      "nothing",
		`{"code":0`:                             "nothing",
		`<html>`:                                "nothing",
		``:                                      "nothing",
		`null`:                                  "nothing",
		`0`:                                     "nothing",
		`{"code":0.0}`:                          "0.0",
		`{"code":0,"message":"ok"}<html>error</html>}`: "nothing",
	} {
		_, err := parse([]byte(text))
		got, no := "nothing", (*codeError)(nil)
		if err == nil {
			got = "done"
		} else if errors.As(err, &no) {
			got = no.code
		}
		if got != want {
			t.Errorf("parse(%s) = %s, want %s", text, got, want)
		}
	}
}

// FuzzReplies: no answer makes the adapter panic, and none without the code for
// it is a success.
func FuzzReplies(f *testing.F) {
	for _, s := range []string{
		`{"code":0,"message":"ok","data":{"user_name":"a","balance":"1.5","user_available":null}}`,
		`{"code":0,"data":[{"user_name":"a","balance":-0.66}],"_meta":{"totalCount":"1"}}`,
		`{"code":0,"data":{"bill_number":1,"user_name":"a","create_at":"1","pay_num":1.50,"order_no":"N1"}}`,
		`{"code":0,"data":[{"products_id":7,"user_balance":"3.456"}]}`, `"{\"code\":0}"`, `<html>`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := parse(body)
		if err != nil {
			return
		}
		if e.Code == nil || *e.Code != codeDone {
			t.Fatalf("%q is a success without its code", body)
		}
		if a, err := parseUser(e.Data); err == nil && a.User == "" {
			t.Fatalf("%q is a user without a name", body)
		}
		_, _ = parseProducts(e.Data)
		all, total, err := parseRecords(e)
		for _, w := range all {
			_, _ = w.record()
		}
		if err == nil && (total < -1 || len(all) > 0 && !json.Valid(e.Data)) {
			t.Fatalf("%q has %d records of %d", body, len(all), total)
		}
	})
}

func FuzzDecimal(f *testing.F) {
	for _, s := range []string{"0", "10.50", "-0.66", "1e3", "99999999999999999999", ".5", "5."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := vendor.Text(s).Yuan()
		if err != nil {
			return
		}
		if back, err := vendor.Text(signed(int64(v))).Yuan(); err != nil || back != v {
			t.Fatalf("%q is %d, and written again %d, %v", s, v, back, err)
		}
	})
}

func signed(n int64) string {
	if n < 0 {
		return "-" + yuan(-money.Fen(n))
	}
	return yuan(money.Fen(n))
}
