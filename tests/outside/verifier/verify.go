package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// The file, as docs/evidence.md describes it. []byte is base64 in JSON.
type file struct {
	Format     string  `json:"format"`
	Checkpoint string  `json:"checkpoint"`
	Head       head    `json:"head"`
	Events     []event `json:"events"`
	Complete   *answer `json:"complete"`
}

type head struct {
	Tenant string   `json:"tenant"`
	Size   int64    `json:"size"`
	Root   []byte   `json:"root"`
	Counts []byte   `json:"counts"`
	Blind  []byte   `json:"blind"`
	Index  int64    `json:"index"`
	Proof  [][]byte `json:"proof"`
}

type event struct {
	Position int64    `json:"position"`
	Stored   []byte   `json:"stored"`
	Proof    [][]byte `json:"proof"`
}

type proved struct {
	Origin    string  `json:"origin"`
	LogSize   int64   `json:"log_size"`
	Tenant    string  `json:"tenant"`
	Size      int64   `json:"size"`
	Positions []int64 `json:"positions"`
	Tag       string  `json:"tag,omitempty"`
	Total     int64   `json:"total,omitempty"`
}

func verify(data []byte, vkey string) (*proved, error) {
	var told file
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&told); err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	if told.Format != "muniment/bundle/v1" {
		return nil, fmt.Errorf("bundle: another format")
	}
	origin, tree, err := checkpoint(told.Checkpoint, vkey)
	if err != nil {
		return nil, err
	}
	path, err := hashes(told.Head.Proof)
	if err != nil {
		return nil, fmt.Errorf("head: %w", err)
	}
	leaf := tlog.RecordHash(told.Head.commitment())
	if err := tlog.CheckRecord(path, tree.N, tree.Hash, told.Head.Index, leaf); err != nil {
		return nil, fmt.Errorf("head: %w", err)
	}
	found := &proved{Origin: origin, LogSize: tree.N, Tenant: told.Head.Tenant, Size: told.Head.Size, Positions: []int64{}}
	for _, each := range told.Events {
		if err := each.check(told.Head); err != nil {
			return nil, fmt.Errorf("position %d: %w", each.Position, err)
		}
		found.Positions = append(found.Positions, each.Position)
	}
	if told.Complete != nil {
		found.Tag = told.Complete.Tag
		if found.Total, err = told.Complete.check(told.Head, told.Events); err != nil {
			return nil, fmt.Errorf("completeness: %w", err)
		}
	}
	return found, nil
}

// The note must be signed by the key, whose name is the log's origin.
func checkpoint(signed, vkey string) (string, tlog.Tree, error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return "", tlog.Tree{}, fmt.Errorf("signature: %w", err)
	}
	opened, err := note.Open([]byte(signed), note.VerifierList(verifier))
	if err != nil {
		return "", tlog.Tree{}, fmt.Errorf("signature: %w", err)
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 4 || lines[0] != verifier.Name() {
		return "", tlog.Tree{}, fmt.Errorf("checkpoint: not of the log that the key is of")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return "", tlog.Tree{}, fmt.Errorf("checkpoint: %w", err)
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil {
		return "", tlog.Tree{}, fmt.Errorf("checkpoint: %w", err)
	}
	top, err := hash(root)
	return lines[0], tlog.Tree{N: size, Hash: top}, err
}

// What the leaf of the deployment's log holds.
func (told head) commitment() []byte {
	size := make([]byte, 8)
	binary.BigEndian.PutUint64(size, uint64(told.Size))
	all := []byte{}
	for _, each := range [][]byte{[]byte("muniment/head/v1"), []byte(told.Tenant), size, told.Root, told.Counts, told.Blind} {
		length := make([]byte, 4)
		binary.BigEndian.PutUint32(length, uint32(len(each)))
		all = append(append(all, length...), each...)
	}
	sum := sha256.Sum256(all)
	return sum[:]
}

func (told event) check(of head) error {
	path, err := hashes(told.Proof)
	if err != nil {
		return err
	}
	root, err := hash(of.Root)
	if err != nil {
		return err
	}
	if err := tlog.CheckRecord(path, of.Size, root, told.Position-1, tlog.RecordHash(told.Stored)); err != nil {
		return err
	}
	stamp, err := read(told.Stored)
	if err != nil {
		return err
	}
	if stamp.position != told.Position {
		return fmt.Errorf("the event says that it is at %d", stamp.position)
	}
	return nil
}
