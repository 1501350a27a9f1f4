package alipay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	sdk "github.com/smartwalle/alipay/v3"

	"quancun/upstream/channel"
)

// Limits on a bill. A campus of 50,000 top-ups a day has one of about 1 MB
// packed and 12 MB unpacked.
const (
	billMax     = 64 << 20
	unpackedMax = 256 << 20
	billTimeout = time.Minute
)

var _ channel.Statements = (*Client)(nil)

// Bill is alipay.data.dataservice.bill.downloadurl.query (查询对账单下载地址)
// for the bill of trades (业务账单) of a day, and its download. It is there from
// about nine o'clock of the next day on; a day on which nothing moved has none,
// which Alipay says in the same words: channel.ErrNoStatement.
//
// # What a bill is worth
//
// The address is signed, and good for 30 seconds. The file behind it is not
// signed at all. It is believed only when all of it could be read and its lines
// come to the counts and sums that it gives itself, so that half a file is
// never taken for a day on which half as much moved. Where the gateway is
// reached over TLS, so is the file, even if its address says otherwise.
func (c *Client) Bill(ctx context.Context, day channel.Day) (channel.Statement, error) {
	if _, err := channel.ParseDay(string(day)); err != nil {
		return channel.Statement{}, fmt.Errorf("alipay: bill: %w", err)
	}
	var r struct {
		head
		URL string `json:"bill_download_url"`
	}
	err := c.call(ctx, sdk.BillDownloadURLQuery{BillType: "trade", BillDate: string(day)}, &r)
	var a *answer
	switch {
	case errors.As(err, &a) && a.verdict == missing:
		return channel.Statement{}, channel.ErrNoStatement
	case err != nil:
		return channel.Statement{}, err
	}
	file, err := c.fetch(ctx, r.URL)
	if err != nil {
		return channel.Statement{}, fmt.Errorf("alipay: fetch bill of %s: %w", day, err)
	}
	s, err := readBill(file, day)
	if err != nil {
		return channel.Statement{}, fmt.Errorf("alipay: bill of %s: %w", day, err)
	}
	return s, nil
}

// fetch returns the file at an address that the gateway gave. Its errors do not
// hold the address, because whoever has it has the bill.
func (c *Client) fetch(ctx context.Context, address string) ([]byte, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http" {
		return nil, errors.New("its address is not a URL")
	}
	if c.overTLS {
		u.Scheme = "https"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, errors.New("its address is not a URL")
	}
	req.Header.Set("User-Agent", "quancun") // the library's own is turned away by some caches
	resp, err := c.bills.Do(req)
	if err != nil {
		var withAddress *url.Error
		if errors.As(err, &withAddress) {
			err = withAddress.Err
		}
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("answered %d", resp.StatusCode)
	}
	return io.ReadAll(resp.Body)
}
