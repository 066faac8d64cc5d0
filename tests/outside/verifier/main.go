// Verifies Muniment's bundles with nothing of Muniment: Go's own libraries for signed notes and transparency logs.
//
//	verifier bundle FILE VKEY     what a bundle proves, as JSON; 1 and a sentence if it doesn't
//	verifier proofs < FILE        whether proofs hold, one JSON object a line
//	verifier log URL VKEY [NOTE…] whether a log of tiles is whole, and older checkpoints are its beginnings
//	verifier tiles < FILE         a tile's path in C2SP's form for each "level index width"
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	var err error
	switch {
	case len(os.Args) == 4 && os.Args[1] == "bundle":
		err = bundle(os.Args[2], os.Args[3])
	case len(os.Args) >= 4 && os.Args[1] == "log":
		err = wholeLog(os.Args[2], os.Args[3], os.Args[4:])
	case len(os.Args) == 2 && os.Args[1] == "proofs":
		err = proofs()
	case len(os.Args) == 2 && os.Args[1] == "tiles":
		err = tiles()
	default:
		err = fmt.Errorf("usage: verifier bundle FILE VKEY | log URL VKEY [NOTE...] | proofs | tiles")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func bundle(file, vkey string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	proved, err := verify(data, vkey)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(proved)
}

// A proof as the tests hand it over: of a leaf if Leaf is set, else that the tree of Old leaves is a beginning.
type aProof struct {
	Leaf  []byte   `json:"leaf"`
	Index int64    `json:"index"`
	Old   int64    `json:"old"`
	Root0 []byte   `json:"old_root"`
	Size  int64    `json:"size"`
	Root  []byte   `json:"root"`
	Proof [][]byte `json:"proof"`
}

func proofs() error {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for number := 1; lines.Scan(); number++ {
		var told aProof
		if err := json.Unmarshal(lines.Bytes(), &told); err != nil {
			return err
		}
		path, err := hashes(told.Proof)
		if err != nil {
			return err
		}
		root, err := hash(told.Root)
		if err != nil {
			return err
		}
		if told.Leaf != nil {
			err = tlog.CheckRecord(path, told.Size, root, told.Index, tlog.RecordHash(told.Leaf))
		} else {
			var old tlog.Hash
			if old, err = hash(told.Root0); err == nil {
				err = tlog.CheckTree(path, told.Size, root, told.Old, old)
			}
		}
		if err != nil {
			return fmt.Errorf("proof %d: %w", number, err)
		}
	}
	return lines.Err()
}

func tiles() error {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		tile := tlog.Tile{H: 8}
		if _, err := fmt.Sscan(lines.Text(), &tile.L, &tile.N, &tile.W); err != nil {
			return err
		}
		// Go's checksum database names the height as well; C2SP's logs all have one.
		fmt.Println(strings.Replace(tile.Path(), "tile/8/", "tile/", 1))
	}
	return lines.Err()
}

func hash(told []byte) (tlog.Hash, error) {
	var found tlog.Hash
	if len(told) != tlog.HashSize {
		return found, fmt.Errorf("a hash has %d bytes, not %d", tlog.HashSize, len(told))
	}
	copy(found[:], told)
	return found, nil
}

func hashes(told [][]byte) ([]tlog.Hash, error) {
	found := []tlog.Hash{}
	for _, each := range told {
		one, err := hash(each)
		if err != nil {
			return nil, err
		}
		found = append(found, one)
	}
	return found, nil
}
