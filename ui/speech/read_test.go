package speech

import (
	"testing"

	"quancun/money"
	"quancun/ui/text"
)

func TestAmount(t *testing.T) {
	for _, tt := range []struct {
		fen    money.Fen
		zh, en string
	}{
		{2350, "二十三元五角", "23 yuan 50"},
		{0, "零元", "0 yuan"},
		{5, "五分", "0 yuan 05"},
		{50, "五角", "0 yuan 50"},
		{1200, "十二元", "12 yuan"},
		{12305, "一百二十三元零五分", "123 yuan 05"},
		{100_00, "一百元", "100 yuan"},
		{1001_10, "一千零一元一角", "1001 yuan 10"},
		{1010_00, "一千零一十元", "1010 yuan"},
		{123456_78, "十二万三千四百五十六元七角八分", "123456 yuan 78"},
		{200100_00, "二十万零一百元", "200100 yuan"},
		{1_0000_0000_00, "一亿元", "100000000 yuan"},
	} {
		if zh, en := Amount(tt.fen, text.Chinese), Amount(tt.fen, text.English); zh != tt.zh || en != tt.en {
			t.Errorf("%v is said %q and %q, want %q and %q", tt.fen, zh, en, tt.zh, tt.en)
		}
	}
}

func TestRead(t *testing.T) {
	for _, tt := range []struct {
		l             text.Language
		written, said string
	}{
		{text.Chinese, "写入卡片 ¥50.00", "写入卡片 五十元"},
		{text.Chinese, "-¥12.30  11月26日 12:04", "负十二元三角  11月26日 12点04分"},
		{text.Chinese, "时段 11月23日 17:00-17:30", "时段 11月23日 17点到17点30分"},
		{text.Chinese, "2025年11月23日 08:00", "2025年11月23日 8点"},
		{text.English, "Slot 23 Nov 17:00-17:30", "Slot 23 November 17:00 to 17:30"},
		{text.English, "2 May 2025 08:00", "2 May 2025 08:00"},
		{text.English, "3 Sep 2025", "3 September 2025"},
		{text.English, "12 Marks", "12 Marks"},
		{text.English, "+¥12.30 at 14:05", "plus 12 yuan 30 at 14:05"},
		{text.Chinese, "4071 8352", "四 零 七 一，八 三 五 二"},
		{text.English, "40718352", "4 0 7 1, 8 3 5 2"},
		{text.Chinese, "学工号 2023****17", "学工号 二 零 二 三，一 七"},
		{text.Chinese, "服务电话 0556-5300110", "服务电话 零 五 五 六，五 三 零 零，一 一 零"},
		{text.Chinese, "喆*珺", "喆某珺"},
		{text.Chinese, "2026-11-27", "11月27日 "},
		{text.English, "2026-11-07", "7 November "},
		{text.English, "1 / 3", "1 of 3"},
		{text.Chinese, "还剩 20 秒", "还剩 20 秒"},
		{text.Chinese, "代码 E-2103", "代码 E 二 一 零 三"},
		{text.Chinese, "一行\n两行", "一行。两行"},
	} {
		if got := Read(tt.written, tt.l); got != tt.said {
			t.Errorf("%q is said %q, want %q", tt.written, got, tt.said)
		}
	}
}
