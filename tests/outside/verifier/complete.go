package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

type answer struct {
	Tag   string `json:"tag"`
	Range struct {
		By    string `json:"by"`
		First int64  `json:"first"`
		Last  int64  `json:"last"`
	} `json:"range"`
	Depth  int      `json:"depth"`
	Tags   uint64   `json:"tags"`
	Bucket []count  `json:"bucket"`
	Path   [][]byte `json:"path"`
	Before *event   `json:"before"`
	After  *event   `json:"after"`
}

type count struct {
	tag         []byte
	total, last int64
}

func (told *count) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, &[]interface{}{&told.tag, &told.total, &told.last})
}

// What every event begins with: Avro's numbers and texts, in one block each.
type stamp struct {
	position, instant int64
	nth               map[string]int64
}

type reader struct {
	rest []byte
	err  error
}

func (from *reader) number() int64 {
	found, length := binary.Varint(from.rest)
	if length <= 0 {
		from.err, from.rest = fmt.Errorf("the bytes are no stored event"), nil
		return 0
	}
	from.rest = from.rest[length:]
	return found
}

func (from *reader) text() string {
	size := from.number()
	if size < 0 || size > int64(len(from.rest)) {
		from.err, from.rest = fmt.Errorf("a text ends beyond the event"), nil
		return ""
	}
	found := string(from.rest[:size])
	from.rest = from.rest[size:]
	return found
}

func read(stored []byte) (stamp, error) {
	if len(stored) < 6 || stored[0] != 0 {
		return stamp{}, fmt.Errorf("the bytes are no stored event")
	}
	from := &reader{rest: stored[5:]}
	found := stamp{from.number(), from.number(), map[string]int64{}}
	numbers := []int64{}
	count := from.number()
	for ; count > 0 && from.err == nil; count-- {
		if numbers = append(numbers, from.number()); count == 1 {
			from.number()
		}
	}
	from.text()
	count = from.number()
	if count != int64(len(numbers)) || count > 16 {
		return stamp{}, fmt.Errorf("the event does not number its tags")
	}
	for _, nth := range numbers {
		found.nth[from.text()] = nth
	}
	return found, from.err
}

// That the events are all with the tag in the range; how many there are with it in all.
func (told answer) check(of head, within []event) (int64, error) {
	total, last, err := told.count(of.Counts)
	if err != nil {
		return 0, err
	}
	if told.Range.By == "position" && told.Range.Last > of.Size {
		return 0, fmt.Errorf("the range ends beyond the history")
	}
	run := []event{}
	for _, side := range []*event{told.Before, told.After} {
		if side == nil {
			continue
		}
		if err := side.check(of); err != nil {
			return 0, fmt.Errorf("position %d: %w", side.Position, err)
		}
	}
	if told.Before != nil {
		run = append(run, *told.Before)
	}
	run = append(run, within...)
	if told.After != nil {
		run = append(run, *told.After)
	}
	if len(run) == 0 && total > 0 {
		return 0, fmt.Errorf("%d events carry the tag, and none is shown", total)
	}
	var before, position int64
	for place, each := range run {
		stamp, _ := read(each.Stored)
		nth := stamp.nth[told.Tag]
		first := place == 0 && told.Before == nil
		if nth == 0 || (place > 0 && nth != before+1) || (first && nth != 1) || each.Position <= position || nth > total {
			return 0, fmt.Errorf("position %d is number %d with the tag, after number %d", each.Position, nth, before)
		}
		if (nth == total) != (each.Position == last) || (place == len(run)-1 && told.After == nil && nth != total) {
			return 0, fmt.Errorf("position %d is number %d of %d, and not the last", each.Position, nth, total)
		}
		at := stamp.instant
		if told.Range.By == "position" {
			at = stamp.position
		}
		isBefore := told.Before != nil && place == 0
		isAfter := told.After != nil && place == len(run)-1
		if (at < told.Range.First) != isBefore || (at > told.Range.Last) != isAfter {
			return 0, fmt.Errorf("position %d is on the wrong side of the range", each.Position)
		}
		before, position = nth, each.Position
	}
	return total, nil
}

// How many events carry the tag, and the position of the last.
func (told answer) count(root []byte) (int64, int64, error) {
	depth := 0
	if told.Tags > 0 {
		depth = bits.Len64((told.Tags - 1) / 8)
	}
	if told.Depth != depth {
		return 0, 0, fmt.Errorf("the depth does not follow from the number of tags")
	}
	wanted := sha256.Sum256([]byte(told.Tag))
	place := int64(binary.BigEndian.Uint64(wanted[:8]) >> 1 >> (63 - depth))
	leaf, before := []byte{}, []byte{}
	var total, last int64
	for _, each := range told.Bucket {
		if len(each.tag) != 32 || bytes.Compare(each.tag, before) <= 0 {
			return 0, 0, fmt.Errorf("the bucket is out of order")
		}
		if before = each.tag; bytes.Equal(each.tag, wanted[:]) {
			total, last = each.total, each.last
		}
		leaf = append(leaf, each.tag...)
		for _, number := range []int64{each.total, each.last} {
			told := make([]byte, 8)
			binary.BigEndian.PutUint64(told, uint64(number))
			leaf = append(leaf, told...)
		}
	}
	path, err := hashes(told.Path)
	if err != nil {
		return 0, 0, err
	}
	top, err := climb(tlog.RecordHash(leaf), place, path, depth)
	if err != nil {
		return 0, 0, err
	}
	label := append([]byte("muniment/counts/v1"), byte(depth))
	tags := make([]byte, 8)
	binary.BigEndian.PutUint64(tags, told.Tags)
	found := sha256.Sum256(append(append(label, tags...), top[:]...))
	if !bytes.Equal(found[:], root) {
		return 0, 0, fmt.Errorf("the bucket leads to another root")
	}
	return total, last, nil
}

// The root of a full tree of 2^depth leaves from one of them.
func climb(leaf tlog.Hash, place int64, path []tlog.Hash, depth int) (tlog.Hash, error) {
	if len(path) != depth {
		return leaf, fmt.Errorf("the way to the root is not %d hashes long", depth)
	}
	for _, sibling := range path {
		if place&1 == 0 {
			leaf = tlog.NodeHash(leaf, sibling)
		} else {
			leaf = tlog.NodeHash(sibling, leaf)
		}
		place >>= 1
	}
	return leaf, nil
}
