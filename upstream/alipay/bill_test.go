package alipay

import (
	"archive/zip"
	"bytes"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"

	"quancun/beijing"
	"quancun/upstream/channel"
)

const (
	sampleDay = channel.Day("2026-03-01")

	sampleDetails = `#支付宝业务明细查询
#账号：[20880000000000010156]
#起始日期：[2026年03月01日 00:00:00]   终止日期：[2026年03月02日 00:00:00]
#-----------------------------------------业务明细列表----------------------------------------
` + sampleTitles + `
2026030122001000000000000001	,K1_42	,交易	,"校园卡充值, 1001",2026-03-01 07:59:50,2026-03-01 08:00:00,	,	,	,K01	,138****0000	,20.00,20.00,0.00,0.00,0.00,0.00,0.00,,0.00	,0.00,	,-0.12,0.00,备注
2026030122001000000000000001	,K1_42	,退款	,"校园卡充值, 1001",2026-03-01 07:59:50,2026-03-01 23:59:59,	,	,	,K01	,138****0000	,-5.00,-5.00,0.00,0.00,0.00,0.00,0.00,,0.00	,0.00,R1	,0.03,0.00,
2026030122001000000000000002	,别处的	,交易	,面包"大",2026-03-01 09:00:00,2026-03-01 09:00:01,	,	,	,	,a***@b.c	,0.07,0.07,0.00,0.00,0.00,0.00,0.00,,0.00	,0.00,	,0.00,0.00,
#-----------------------------------------业务明细列表结束------------------------------------
#交易合计：2笔，商家实收共20.07元，商家优惠共0.00元
#退款合计：1笔，商家实收退款共-5.00元，商家优惠退款共0.00元
#导出时间：[2026年03月02日 05:46:49]
`
	sampleTitles = `支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,` +
		`对方账户,订单金额（元）,商家实收（元）,支付宝红包（元）,集分宝（元）,支付宝优惠（元）,商家优惠（元）,券核销金额（元）,` +
		`券名称,商家红包消费金额（元）,卡消费金额（元）,退款批次号/请求号,服务费（元）,分润（元）,备注`

	sampleSummary = `#支付宝业务汇总查询
#账号：[20880000000000010156]
#起始日期：[2026年03月01日 00:00:00]   终止日期：[2026年03月02日 00:00:00]
#-----------------------------------------业务汇总列表----------------------------------------
门店编号,门店名称,交易订单总笔数,退款订单总笔数,订单金额（元）,商家实收（元）,支付宝优惠（元）,商家优惠（元）,卡消费金额（元）,服务费（元）,分润（元）,实收净额（元）
S1	,食堂	,1	,0	,0.07,0.07,0.00,0.00,0.00,0.00,0.00,0.07
合计	,	,2	,1	,15.07,15.07,0.00,0.00,0.00,-0.09,0.00,14.98
#----------------------------------------业务汇总列表结束-------------------------------------
#导出时间：[2026年03月02日 05:46:49]
`
)

// pack returns a bill of texts, in GBK.
func pack(t testing.TB, texts ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, text := range texts {
		raw, err := simplifiedchinese.GBK.NewEncoder().String(text)
		if err != nil {
			t.Fatal(err)
		}
		w, err := z.CreateHeader(&zip.FileHeader{Name: "\xd2\xb5\xce\xf1.csv", NonUTF8: true, Method: zip.Deflate})
		if err == nil {
			_, err = w.Write([]byte(raw))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestReadBill(t *testing.T) {
	at := func(clock string) time.Time {
		at, err := time.ParseInLocation(time.DateTime, "2026-03-01 "+clock, beijing.Zone)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	const trade = "202603012200100000000000000"
	want := []channel.Line{
		{OrderNo: "K1_42", TradeNo: trade + "1", Kind: channel.Payment, Amount: 2000, Fee: 12, At: at("08:00:00")},
		{
			OrderNo: "K1_42", RefundNo: "R1", TradeNo: trade + "1", Kind: channel.Refund,
			Amount: 500, Fee: -3, At: at("23:59:59"),
		},
		{OrderNo: "别处的", TradeNo: trade + "2", Kind: channel.Payment, Amount: 7, At: at("09:00:01")},
	}
	for name, texts := range map[string][]string{
		"Both":         {sampleDetails, sampleSummary},
		"SummaryFirst": {sampleSummary, sampleDetails},
		"NoSummary":    {sampleDetails},
		"CRLF":         {strings.ReplaceAll(sampleDetails, "\n", "\r\n")},
		"QuoteFirst":   {strings.Replace(sampleDetails, `面包"大"`, `"大"面包`, 1)},
		"OpenQuote":    {strings.Replace(sampleDetails, `面包"大"`, `"面包`, 1)},
		"ForNothing":   {forNothing()},
		"Renamed":      {strings.NewReplacer("退款批次号/请求号", "退款批次号", "（元）", "(元)").Replace(sampleDetails)},
	} {
		got, err := readBill(pack(t, texts...), sampleDay)
		if err != nil || got.Day != sampleDay || !slices.Equal(got.Lines, want) {
			t.Errorf("%s: %+v, %v\nwant %+v", name, got, err, want)
		}
	}
	lines := strings.SplitAfter(sampleDetails, "\n")
	empty := strings.Join(slices.Concat(lines[:5], lines[8:9]), "") +
		"#交易合计：0笔，商家实收共0.00元，商家优惠共0.00元\n#退款合计：0笔，商家实收退款共0.00元，商家优惠退款共0.00元\n"
	if got, err := readBill(pack(t, empty), sampleDay); err != nil || len(got.Lines) != 0 {
		t.Errorf("a day without lines: %+v, %v", got, err)
	}
}

// forNothing is the sample with a stranger's payment, and its refund, of which a coupon of
// the merchant's was all.
func forNothing() string {
	const rows = `2026030122001000000000000003	,别处的2	,交易	,券,2026-03-01 09:00:00,2026-03-01 09:00:01,	,	,	,	,a***@b.c	,9.90,0.00,0.00,0.00,0.00,9.90,9.90,	,0.00	,0.00,	,0.00,0.00,
2026030122001000000000000003	,别处的2	,退款	,券,2026-03-01 09:00:00,2026-03-01 09:10:01,	,	,	,	,a***@b.c	,-9.90,0.00,0.00,0.00,0.00,-9.90,-9.90,	,0.00	,0.00,R9	,0.00,0.00,
`
	const end = "#-----------------------------------------业务明细列表结束"
	return strings.NewReplacer(end, rows+end, "交易合计：2笔", "交易合计：3笔", "退款合计：1笔", "退款合计：2笔").
		Replace(sampleDetails)
}

// TestBillIsWholeOrNot takes something away from a bill, or changes something
// that counts: there is no bill then.
func TestBillIsWholeOrNot(t *testing.T) {
	file := pack(t, sampleDetails, sampleSummary)
	for n := range file {
		if got, err := readBill(file[:n], sampleDay); err == nil {
			t.Fatalf("the first %d of %d bytes are a bill: %+v", n, len(file), got)
		}
	}
	lines := strings.SplitAfter(sampleDetails, "\n")
	for i, line := range lines[:len(lines)-2] { // without the time of the export, that says nothing
		if strings.HasPrefix(line, "#账号") {
			continue
		}
		less := strings.Join(slices.Concat(lines[:i], lines[i+1:]), "")
		if got, err := readBill(pack(t, less), sampleDay); err == nil {
			t.Errorf("without %q it is a bill: %+v", line, got)
		}
	}
	for n := range strings.Index(sampleDetails, "商家实收退款共-5.00元") {
		if sampleDetails[n]&0xC0 == 0x80 {
			continue // amid a character
		}
		if got, err := readBill(pack(t, sampleDetails[:n]), sampleDay); err == nil {
			t.Fatalf("the first %d bytes of the lines are a bill: %+v", n, got)
		}
	}
	for _, tt := range []struct{ old, new string }{
		{"20.00,20.00", "20.00,20.01"},
		{"20.00,20.00", "20.00,20.001"},
		{"20.00,20.00", "20.00,2E1"},
		{"20.00,20.00", "20.00,-20.00"},
		{"-5.00,-5.00", "-5.00,5.00"},
		{",0.07,0.07,", ",0.00,0.00,"},
		{"交易\t", "分润\t"},
		{"2026-03-01 08:00:00", "2026-03-01 08:00"},
		{"2026030122001000000000000002\t", "\t"},
		{"共20.07元", "共20.06元"},
		{"2笔", "3笔"},
		{"共-5.00元", "共5.00元"},
		{"2026年03月02日 00:00:00", "2026年03月03日 00:00:00"},
		{"2026年03月01日 00:00:00", "2026年03月01日 12:00:00"},
		{"完成时间", "结束时间"},
		{"备注\n", "备注,再\n"},
		{",2\t,1\t,", ",2\t,2\t,"}, // in the summary
		{"合计\t", "共计\t"},
		{"#支付宝业务明细查询", "#支付宝账务明细查询"},
	} {
		texts := []string{strings.Replace(sampleDetails, tt.old, tt.new, 1), strings.Replace(sampleSummary, tt.old, tt.new, 1)}
		if texts[0] == sampleDetails && texts[1] == sampleSummary {
			t.Fatalf("%q is not in the sample", tt.old)
		}
		if got, err := readBill(pack(t, texts...), sampleDay); err == nil {
			t.Errorf("with %q for %q it is a bill: %+v", tt.new, tt.old, got)
		}
	}
	if _, err := readBill(pack(t, sampleSummary), sampleDay); err == nil {
		t.Error("a summary alone is a bill")
	}
	if _, err := readBill(file, sampleDay.Add(1)); err == nil {
		t.Error("it is the bill of another day too")
	}
}

// TestBillAddressGuarded gives addresses that are none, and one that leads
// elsewhere.
func TestBillAddressGuarded(t *testing.T) {
	var address string
	g, c := newGateway(t, func(method string, _ url.Values) string {
		return signed(method, `{"code":"10000","bill_download_url":"`+address+`"}`)
	})
	redirect := http.RedirectHandler(g.URL+"/elsewhere", http.StatusFound)
	g.Config.Handler = divert{g.Config.Handler, "/bill", redirect}
	for _, address = range []string{"", "file:///etc/passwd", "http://", "ftp://127.0.0.1/", "http://a@127.0.0.1/x", g.URL + "/bill"} {
		if got, err := c.Bill(t.Context(), sampleDay); err == nil || errors.Is(err, channel.ErrNoStatement) {
			t.Errorf("%q: %+v, %v; want an error", address, got, err)
		} else if address != "" && strings.Contains(err.Error(), address) {
			t.Errorf("error tells the address: %v", err)
		}
	}
	if _, err := c.Bill(t.Context(), "2026-3-1"); err == nil {
		t.Error("a day that is none has a bill")
	}
	c.overTLS = true
	address = g.URL + "/bill"
	if _, err := c.Bill(t.Context(), sampleDay); err == nil || !strings.Contains(err.Error(), "HTTP response to HTTPS client") {
		t.Errorf("a bill in clear for a gateway over TLS: %v", err)
	}
}

// divert serves one path by another handler.
type divert struct {
	http.Handler
	path string
	by   http.Handler
}

func (d divert) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == d.path {
		d.by.ServeHTTP(w, r)
		return
	}
	d.Handler.ServeHTTP(w, r)
}

// FuzzBill feeds the parser the texts of both files: what is a bill adds up
// to what it says itself.
func FuzzBill(f *testing.F) {
	f.Add(sampleDetails, sampleSummary)
	f.Add(sampleSummary, sampleDetails)
	f.Add(sampleDetails, sampleDetails)
	f.Add("", "#")
	f.Fuzz(func(t *testing.T, one, two string) {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for _, text := range []string{one, two} {
			w, err := z.Create("x.csv")
			if err == nil {
				raw, bad := simplifiedchinese.GBK.NewEncoder().String(text)
				if bad != nil {
					raw = text // as it came: broken in GBK, most often
				}
				_, err = w.Write([]byte(raw))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		s, err := readBill(b.Bytes(), sampleDay)
		if err != nil {
			return
		}
		for _, l := range s.Lines {
			if l.Amount < 1 || l.Kind != channel.Payment && l.Kind != channel.Refund || l.TradeNo == "" || l.At.IsZero() {
				t.Errorf("line %+v", l)
			}
		}
		if !strings.Contains(one+two, "交易合计") {
			t.Errorf("a bill that does not say what it comes to: %+v", s)
		}
	})
}

// FuzzBillFile feeds it files that may not even be a ZIP.
func FuzzBillFile(f *testing.F) {
	f.Add(pack(f, sampleDetails, sampleSummary))
	f.Add([]byte("PK\x03\x04"))
	f.Fuzz(func(t *testing.T, file []byte) {
		if s, err := readBill(file, sampleDay); err == nil && s.Day != sampleDay {
			t.Errorf("%+v", s)
		}
	})
}
