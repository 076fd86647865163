package plugin

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// moment says which part of a recording a view shows: the last moment of all, the last one up to a time, or what is between
// two times.
type moment struct {
	from, to instant
	every    *Ask // all samples there are then, and of each what this reads; nil: those that the state or the rates are made of
}

// momentFlags are the flags by which it is chosen.
type momentFlags struct {
	at, between string
	moment      moment // what they mean, once parsed
}

func (m *momentFlags) addFlags(fs *pflag.FlagSet) {
	fs.StringVar(&m.at, "at", "", "of a recording, the state at this `TIME`, with rates since the sample before. It is 15:04:05 on the day of the recording, 2006-01-02T15:04:05 in local time or with a zone, or +1m30s from its beginning; else the last sample is shown")
	fs.StringVar(&m.between, "between", "", "of a recording, rates between two times `A,B`, given as for --at")
}

// parse parses the flags. Recorded tells whether a file is read at all.
func (m *momentFlags) parse(recorded bool) (err error) {
	switch {
	case m.at == "" && m.between == "":
		return nil
	case !recorded:
		return errors.New("--at and --between are about a recording: name it with --from")
	case m.at != "" && m.between != "":
		return errors.New("--at and --between exclude each other")
	case m.at != "":
		if m.moment.to, err = parseInstant(m.at); err != nil {
			return fmt.Errorf("--at: %w", err)
		}
		return nil
	}
	a, b, ok := strings.Cut(m.between, ",")
	if !ok {
		return fmt.Errorf("--between %q: give two times, A,B", m.between)
	}
	if m.moment.from, err = parseInstant(a); err == nil {
		m.moment.to, err = parseInstant(b)
	}
	if err != nil {
		return fmt.Errorf("--between: %w", err)
	}
	return nil
}

// spans tells whether a beginning was chosen.
func (m *moment) spans() bool { return m.from.given() }

// resolve makes times of what was said of a recording that begins then. A time is as exact as it was given: to the second,
// all of which is meant.
func (m *moment) resolve(begin time.Time) {
	m.from.resolve(begin)
	m.to.resolve(begin)
	if m.from.kind == ofRecording {
		m.from.time = m.from.time.Add(-time.Second / 2)
	}
	if m.to.kind == ofRecording {
		m.to.time = m.to.time.Add(time.Second / 2)
	} else if m.to.given() {
		m.to.time = m.to.time.Truncate(time.Second).Add(time.Second - 1)
	}
}

// admits tells whether a frame of that time is part of it.
func (m *moment) admits(at time.Time) bool {
	return !(m.from.given() && at.Before(m.from.time)) && !(m.to.given() && at.After(m.to.time))
}

// missing says that nothing was recorded then.
func (m *moment) missing() string {
	if m.spans() {
		return fmt.Sprintf("nothing was recorded between %s and %s", stamp(m.from.time), stamp(m.to.time))
	}
	return fmt.Sprintf("nothing was recorded up to %s", stamp(m.to.time))
}

// stamp is a time as it is shown, and taken by --at.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// instant is a time that someone gave: of the calendar, of the day on which a recording begins, or counted from its beginning.
type instant struct {
	text  string // empty: none was given
	kind  instantKind
	time  time.Time // of the day: on the first day of our era; afterwards when it is
	after time.Duration
}

type instantKind uint8

const (
	ofCalendar instantKind = iota
	ofDay
	ofRecording
)

func (i *instant) given() bool { return i.text != "" }

// parseInstant reads a time. Without a zone it is local time, as people read it from a clock.
func parseInstant(text string) (instant, error) {
	i := instant{text: strings.TrimSpace(text)}
	if offset, ok := strings.CutPrefix(i.text, "+"); ok {
		after, err := time.ParseDuration(offset)
		if err != nil || after < 0 {
			return i, fmt.Errorf("%q: after + comes a duration such as 1m30s", text)
		}
		i.kind, i.after = ofRecording, after
		return i, nil
	}
	for layout, kind := range map[string]instantKind{
		time.RFC3339: ofCalendar, "2006-01-02T15:04:05": ofCalendar, "2006-01-02 15:04:05": ofCalendar, "2006-01-02T15:04": ofCalendar, "2006-01-02 15:04": ofCalendar,
		"15:04:05": ofDay, "15:04": ofDay,
	} {
		if t, err := time.ParseInLocation(layout, i.text, time.Local); err == nil {
			i.kind, i.time = kind, t
			return i, nil
		}
	}
	return i, fmt.Errorf("%q is no time: give 15:04:05, 2006-01-02T15:04:05Z or +1m30s", text)
}

// resolve makes a time of it, of a recording that begins then. An hour that is earlier than that is of the day after.
func (i *instant) resolve(begin time.Time) {
	switch i.kind {
	case ofRecording:
		i.time = begin.Add(i.after)
	case ofDay:
		day := begin.In(time.Local)
		hour, minute, second := i.time.Clock()
		i.time = time.Date(day.Year(), day.Month(), day.Day(), hour, minute, second, 0, time.Local)
		if i.time.Before(begin.Truncate(time.Minute)) {
			i.time = i.time.AddDate(0, 0, 1)
		}
	}
}
