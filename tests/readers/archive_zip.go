// Go's archive/zip. Arguments: ARCHIVE LIMIT; the answer's form is told in tests/it/readers/tools.rs.
package main

import (
	"archive/zip"
	"bufio"
	"encoding/binary"
	"io"
	"log"
	"os"
	"strconv"
)

func main() {
	limit, err := strconv.ParseUint(os.Args[2], 10, 64)
	check(err)
	archive, err := zip.OpenReader(os.Args[1])
	check(err)
	out := bufio.NewWriter(os.Stdout)
	for _, file := range archive.File {
		check(binary.Write(out, binary.LittleEndian, uint32(len(file.Name))))
		_, err = out.WriteString(file.Name)
		check(err)
		if file.UncompressedSize64 > limit {
			check(binary.Write(out, binary.LittleEndian, file.UncompressedSize64))
			continue
		}
		text, err := file.Open()
		check(err)
		bytes, err := io.ReadAll(text)
		check(err)
		check(binary.Write(out, binary.LittleEndian, uint64(len(bytes))))
		_, err = out.Write(bytes)
		check(err)
	}
	check(out.Flush())
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
