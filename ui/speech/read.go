package speech

import (
	"regexp"
	"strconv"
	"strings"

	"quancun/money"
	"quancun/ui/text"
)

// figures are the parts of a text that a synthesiser would read wrongly. The first
// that matches counts.
var figures = regexp.MustCompile(`[+-]?¥[0-9]+\.[0-9]{2}` + // an amount
	`|[0-9]{4}-[0-9]{2}-[0-9]{2}` + // a day
	`|[0-9]{1,2} (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\b(?: [0-9]{4})?` + // the same in English
	`|[0-9]{1,2}:[0-9]{2}-[0-9]{1,2}:[0-9]{2}` + // a part of a day
	`|[0-9]{1,2}:[0-9]{2}` + // a time of day
	`|[0-9]+ ?/ ?[0-9]+` + // so many of so many
	`|E-[0-9]{4}` + // a fault's code
	`|[0-9]{4} [0-9]{4}( [0-9]{1,4})*` + // digits in groups
	`|[0-9*]*[0-9][0-9*-]{3,}[0-9*]`) // a number that is a name: "0556-5300110", "2023****17"

// Read returns words as a synthesiser of language l reads them right: amounts as they
// are said, and numbers that are names digit by digit.
func Read(words string, l text.Language) string {
	words = figures.ReplaceAllStringFunc(words, func(s string) string { return read(s, l) })
	star := " "
	if l == text.Chinese { // 张*三
		star = "某"
	}
	words = strings.NewReplacer("*", star, "“", "", "”", "", "_", " ", "→", "，").Replace(words)
	return strings.Join(strings.FieldsFunc(words, func(r rune) bool { return r == '\n' }), l2(l, "。", ". "))
}

// l2 is one of two things, by the language.
func l2(l text.Language, chinese, english string) string {
	if l == text.Chinese {
		return chinese
	}
	return english
}

func read(s string, l text.Language) string {
	switch {
	case strings.Contains(s, "¥"):
		return readAmount(s, l)
	case strings.Count(s, "-") == 2 && len(s) == len("2006-01-02"):
		return day(s[5:7], s[8:], l)
	case strings.ContainsAny(s, "JFMASOND"):
		return dayOf(s)
	case strings.Contains(s, ":") && strings.Contains(s, "-"):
		from, till, _ := strings.Cut(s, "-")
		return clock(from, l) + l2(l, "到", " to ") + clock(till, l)
	case strings.Contains(s, ":"):
		return clock(s, l)
	case s[0] == 'E':
		return "E " + spaced(s[2:], l)
	case strings.Contains(s, "/"):
		some, all, _ := strings.Cut(s, "/")
		return strings.TrimSpace(some) + l2(l, "，共", " of ") + strings.TrimSpace(all)
	}
	return Digits(s, l)
}

// readAmount reads an amount as [text.Amount] and [text.Change] write it.
func readAmount(s string, l text.Language) string {
	sign := ""
	switch s[0] {
	case '+':
		sign = l2(l, "加", "plus ")
	case '-':
		sign = l2(l, "负", "minus ")
	}
	f, err := money.Parse(strings.TrimLeft(s, "+-¥"))
	if err != nil {
		return s
	}
	return sign + Amount(f, l)
}

// Amount returns f, which is not negative, as it is said: 二十三元五角, "23 yuan 50".
func Amount(f money.Fen, l text.Language) string {
	yuan, jiao, fen := int64(f/money.Yuan), int64(f%money.Yuan/10), int64(f%10)
	if l != text.Chinese {
		said := strconv.FormatInt(yuan, 10) + " yuan"
		if f%money.Yuan != 0 {
			said += " " + strconv.FormatInt(jiao, 10) + strconv.FormatInt(fen, 10)
		}
		return said
	}
	said := ""
	if yuan > 0 || f == 0 {
		said = chinese(yuan) + "元"
	}
	switch {
	case jiao > 0:
		said += chinese(jiao) + "角"
	case yuan > 0 && fen > 0:
		said += "零"
	}
	if fen > 0 {
		said += chinese(fen) + "分"
	}
	return said
}

var numerals = [...]string{"零", "一", "二", "三", "四", "五", "六", "七", "八", "九"}

// chinese returns n, which is not negative, in Chinese numerals.
func chinese(n int64) string {
	if n < 10 {
		return numerals[n]
	}
	if n < 20 {
		return "十" + strings.TrimSuffix(numerals[n%10], "零")
	}
	for _, unit := range []struct {
		worth int64
		name  string
	}{{1e8, "亿"}, {1e4, "万"}, {1000, "千"}, {100, "百"}, {10, "十"}} {
		if n < unit.worth {
			continue
		}
		said, rest := chinese(n/unit.worth), n%unit.worth
		if unit.worth < 1e4 {
			said = numerals[n/unit.worth]
		}
		said += unit.name
		switch {
		case rest == 0:
			return said
		case rest < unit.worth/10:
			said += "零"
		}
		if rest >= 10 && rest < 20 {
			said += "一" // 一百一十
		}
		return said + chinese(rest)
	}
	panic("speech: internal error: a number without a unit")
}

// Digits returns digits one by one, with a pause after each four, and where some are
// hidden.
func Digits(s string, l text.Language) string {
	var groups []string
	for _, run := range strings.FieldsFunc(s, func(r rune) bool { return r < '0' || r > '9' }) {
		for len(run) > 4 {
			groups, run = append(groups, spaced(run[:4], l)), run[4:]
		}
		groups = append(groups, spaced(run, l))
	}
	return strings.Join(groups, l2(l, "，", ", "))
}

func spaced(run string, l text.Language) string {
	said := make([]string, 0, len(run))
	for _, d := range run {
		if l == text.Chinese {
			said = append(said, numerals[d-'0'])
		} else {
			said = append(said, string(d))
		}
	}
	return strings.Join(said, " ")
}

func clock(s string, l text.Language) string {
	hours, minutes, _ := strings.Cut(s, ":")
	if l != text.Chinese {
		return s
	}
	if minutes == "00" {
		return plain(hours) + "点"
	}
	return plain(hours) + "点" + minutes + "分"
}

var months = [...]string{"January", "February", "March", "April", "May", "June", "July", "August", "September",
	"October", "November", "December"}

func day(month, of string, l text.Language) string {
	n, err := strconv.Atoi(month)
	if err != nil || n < 1 || n > len(months) {
		return month + " " + of
	}
	if l == text.Chinese {
		return strconv.Itoa(n) + "月" + plain(of) + "日 "
	}
	return plain(of) + " " + months[n-1] + " "
}

// dayOf reads a day as English writes it: "2 Jan", or "2 Jan 2006". The year stays as it
// is, for every voice reads it as one.
func dayOf(s string) string {
	of, short, _ := strings.Cut(s, " ")
	short, year, _ := strings.Cut(short, " ")
	for _, month := range months {
		if strings.HasPrefix(month, short) {
			return strings.TrimSpace(of + " " + month + " " + year)
		}
	}
	return s
}

// plain is a number without the 0 before it.
func plain(s string) string {
	if s = strings.TrimLeft(s, "0"); s == "" {
		return "0"
	}
	return s
}
