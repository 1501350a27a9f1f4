package alipay

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"quancun/beijing"
)

// billPath is where bills are fetched, as it is in reality.
const billPath = "/downloadBillFile.resource"

// billLife is how long the address of a bill is good.
const billLife = 30 * time.Second

// billHour is when the bill of a day is there on the next one, in Beijing.
const billHour = 9

// billAccount is the merchant's account as bills name it.
const billAccount = sellerID + "0156"

// billFile is a bill whose address was given away.
type billFile struct {
	day  time.Time // its first moment
	ends time.Time
}

// bill gives the address of a day's bill (查询对账单下载地址). A day on which
// nothing moved has none, and neither has one whose bill is not made yet; the
// answer is the same.
func (g *Gateway) bill(req request, now time.Time) reply {
	day, err := time.ParseInLocation(time.DateOnly, req.biz["bill_date"], beijing.Zone)
	if err != nil || req.biz["bill_type"] != "trade" || day.After(now) {
		return business("invalid_arguments")
	}
	if now.Before(day.AddDate(0, 0, 1).Add(billHour*time.Hour)) || len(g.movements(day)) == 0 {
		return business("isp.bill_not_exist")
	}
	for token, f := range g.files {
		if now.After(f.ends) {
			delete(g.files, token)
		}
	}
	token := rand.Text()
	g.files[token] = billFile{day: day, ends: now.Add(billLife)}
	name := billAccount + "_" + day.Format("20060102") + ".csv.zip"
	query := url.Values{
		"bizType": {"trade"}, "userId": {billAccount}, "fileType": {"csv.zip"},
		"bizDates": {day.Format("20060102")}, "downloadFileName": {name},
		"timestamp": {strconv.FormatInt(now.Unix(), 10)}, "token": {token},
	}
	return reply{
		"code": "10000", "msg": "Success",
		"bill_download_url": "http://" + req.host + billPath + "?" + query.Encode(),
	}
}

// serveBill hands out the file behind an address, as far as a fault lets it.
func (g *Gateway) serveBill(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	f, known := g.files[r.FormValue("token")]
	fault, _ := g.take("bill.file")
	now := g.now()
	var file []byte
	if known && !now.After(f.ends) {
		file = g.makeBill(f.day, now, fault)
	}
	g.mu.Unlock()

	switch fault.Kind {
	case Delay:
		time.Sleep(time.Duration(fault.Delay))
	case Drop:
		panic(http.ErrAbortHandler) // closes the connection in mid-air
	case HTML:
		write(w, "<html><body>系统繁忙，请稍后再试</body></html>")
		return
	case HTTP500:
		http.Error(w, "Internal Server Error", http.StatusInternalServerError)
		return
	case Truncated:
		file = file[:len(file)/2]
	}
	if file == nil {
		http.Error(w, "链接已失效", http.StatusForbidden)
		return
	}
	w.Header().Set("Content-Type", "application/zip")
	_, _ = w.Write(file)
}
