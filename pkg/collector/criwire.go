package collector

import (
	"encoding/binary"
	"errors"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// The list of sandboxes is the same on most walks. So it is taken as it comes and looked through for ids; only a sandbox
// that was not seen before is decoded: its maps of labels and annotations would be most of what a walk allocates.

// rawAnswer is a ListPodSandboxResponse as it came.
type rawAnswer struct{ bytes []byte }

// rawCodec is gRPC's codec, but for a rawAnswer, which it leaves as it is.
type rawCodec struct{}

// Name is none, so that the content type is application/grpc and not application/grpc+proto, which means the same: CRI-O serves
// gRPC by the letter of it, and cuts every other connection.
func (rawCodec) Name() string { return "" }

func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	return encoding.GetCodecV2(proto.Name).Marshal(v)
}

func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	raw, ok := v.(*rawAnswer)
	if !ok {
		return encoding.GetCodecV2(proto.Name).Unmarshal(data, v)
	}
	raw.bytes = raw.bytes[:0]
	for _, b := range data {
		raw.bytes = append(raw.bytes, b.ReadOnlyData()...)
	}
	return raw.sandboxes(func(_, _ []byte) error { return nil })
}

// errBadAnswer says that the runtime answered with something that is no list of sandboxes.
var errBadAnswer = errors.New("not a list of sandboxes")

// Numbers of fields in ListPodSandboxResponse and PodSandbox (k8s.io/cri-api, api.proto).
const (
	fieldItems = 1
	fieldID    = 1
	fieldState = 3
)

// sandboxes calls each for every sandbox that is ready and has an id, with its message.
func (a *rawAnswer) sandboxes(each func(id, message []byte) error) error {
	return fields(a.bytes, func(number int, _ uint64, item []byte) error {
		if number != fieldItems {
			return nil
		}
		var id []byte
		state := cri.PodSandboxState_SANDBOX_READY // zero, which is left out on the wire
		err := fields(item, func(number int, v uint64, content []byte) error {
			switch {
			case number == fieldID && content != nil:
				id = content
			case number == fieldState && content == nil:
				state = cri.PodSandboxState(v)
			}
			return nil
		})
		if err != nil || len(id) == 0 || state != cri.PodSandboxState_SANDBOX_READY {
			return err
		}
		return each(id, item)
	})
}

// decodeSandbox decodes the message of one sandbox.
func decodeSandbox(message []byte) (*cri.PodSandbox, error) {
	s := &cri.PodSandbox{}
	err := encoding.GetCodecV2(proto.Name).Unmarshal(mem.BufferSlice{mem.SliceBuffer(message)}, s)
	return s, err
}

// fields calls each for every field of a protobuf message whose wire type is that of an integer (its value is v) or of bytes
// (content is then not nil).
func fields(message []byte, each func(number int, v uint64, content []byte) error) error {
	const varint, fixed64, bytes, fixed32 = 0, 1, 2, 5
	for len(message) > 0 {
		tag, n := binary.Uvarint(message)
		if n <= 0 {
			return errBadAnswer
		}
		message = message[n:]
		var v uint64
		var content []byte
		switch tag & 7 {
		case varint:
			v, n = binary.Uvarint(message)
		case fixed64:
			n = 8
		case fixed32:
			n = 4
		case bytes:
			size, m := binary.Uvarint(message)
			if m <= 0 || size > uint64(len(message)-m) {
				return errBadAnswer
			}
			n = m + int(size)
			content = message[m:n]
		default:
			return errBadAnswer
		}
		if n <= 0 || n > len(message) {
			return errBadAnswer
		}
		message = message[n:]
		if kind := tag & 7; kind != varint && kind != bytes {
			continue
		}
		if err := each(int(tag>>3), v, content); err != nil {
			return err
		}
	}
	return nil
}
