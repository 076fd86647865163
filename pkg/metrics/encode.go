package metrics

import (
	"fmt"
	"io"
)

// Format is a form of the Prometheus exposition.
type Format uint8

const (
	TextFormat        Format = iota // 0.0.4
	OpenMetricsFormat               // 1.0.0; a counter whose name lacks _total is unknown there, since it may not be renamed
)

// ContentType is what HTTP says of the format.
func (f Format) ContentType() string {
	if f == OpenMetricsFormat {
		return "application/openmetrics-text; version=1.0.0; charset=utf-8"
	}
	return "text/plain; version=0.0.4; charset=utf-8"
}

// Encode writes snapshots in a format, byte for byte as expfmt would, without the closing "# EOF", so that other families
// may follow.
func Encode(w io.Writer, f Format, snapshots ...*Snapshot) error {
	if f != TextFormat {
		return fmt.Errorf("format %d is not written yet", f)
	}
	return Write(w, snapshots...)
}
