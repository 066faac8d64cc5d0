package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// Reads a log as C2SP tlog-tiles says, from its prefix.
type tileLog struct {
	prefix string
}

func (from tileLog) get(path string) ([]byte, error) {
	answer, err := http.Get(from.prefix + "/" + path)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", path, answer.Status)
	}
	return io.ReadAll(io.LimitReader(answer.Body, 1<<26))
}

func (from tileLog) Height() int { return 8 }

func (from tileLog) SaveTiles([]tlog.Tile, [][]byte) {}

func (from tileLog) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	found := [][]byte{}
	for _, each := range tiles {
		data, err := from.get(strings.Replace(each.Path(), "tile/8/", "tile/", 1))
		if err != nil {
			return nil, err
		}
		found = append(found, data)
	}
	return found, nil
}

// That every entry of the log is the leaf that its checkpoint is of, and that an older checkpoint is its beginning.
func wholeLog(prefix, vkey string, older []string) error {
	from := tileLog{prefix}
	newest, err := from.get("checkpoint")
	if err != nil {
		return err
	}
	origin, tree, err := checkpoint(string(newest), vkey)
	if err != nil {
		return err
	}
	reader := tlog.TileHashReader(tree, from)
	for start := int64(0); start < tree.N; start += 256 {
		if err := entries(from, reader, start, tree.N); err != nil {
			return err
		}
	}
	for _, file := range older {
		told, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		_, old, err := checkpoint(string(told), vkey)
		if err != nil {
			return fmt.Errorf("the older checkpoint: %w", err)
		}
		proof, err := tlog.ProveTree(tree.N, old.N, reader)
		if err != nil {
			return err
		}
		if err := tlog.CheckTree(proof, tree.N, tree.Hash, old.N, old.Hash); err != nil {
			return err
		}
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]interface{}{"origin": origin, "size": tree.N, "older": len(older)})
}

func entries(from tileLog, reader tlog.HashReader, start, size int64) error {
	tile := tlog.Tile{H: 8, L: 0, N: start / 256, W: 256}
	if size-start < 256 {
		tile.W = int(size - start)
	}
	data, err := from.get(strings.Replace(tile.Path(), "tile/8/0/", "tile/entries/", 1))
	if err != nil {
		return err
	}
	places := []int64{}
	for index := start; index < start+int64(tile.W); index++ {
		places = append(places, tlog.StoredHashIndex(0, index))
	}
	leaves, err := reader.ReadHashes(places)
	if err != nil {
		return err
	}
	for place, leaf := range leaves {
		if len(data) < 2 || len(data) < 2+int(data[0])<<8+int(data[1]) {
			return fmt.Errorf("the entries end before leaf %d", start+int64(place))
		}
		length := int(data[0])<<8 + int(data[1])
		if tlog.RecordHash(data[2:2+length]) != leaf {
			return fmt.Errorf("leaf %d is not the entry's hash", start+int64(place))
		}
		data = data[2+length:]
	}
	if len(data) > 0 {
		return fmt.Errorf("there are more entries than leaves")
	}
	return nil
}
