// Command sbom lists what is linked into Go programs, as a CycloneDX bill of materials.
//
//	sbom -name NAME -version v1.2.3 [-image DIGEST] -o FILE PROGRAM...
//
// The programs are one thing built for several platforms: the list is that of all of them, read from the programs
// themselves. The licences are read from the modules in Go's module cache. The same programs give the same bytes: there
// is no time in it, and its serial number is made from its content.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

func main() {
	err := run(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintf(os.Stderr, "sbom: error: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string, stderr io.Writer) error {
	flags := flag.NewFlagSet("sbom", flag.ContinueOnError)
	flags.SetOutput(stderr)
	name := flags.String("name", "", "what the programs are called")
	version := flags.String("version", "", "version of the programs")
	image := flags.String("image", "", "digest of the image with the programs, called NAME (default: no image but the programs)")
	out := flags.String("o", "", "the file to write")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *name == "" || *version == "" || *out == "" || flags.NArg() == 0 {
		return errors.New("incomplete: give -name, -version, -o and one or more programs")
	}
	linked, err := readPrograms(flags.Args())
	if err != nil {
		return err
	}
	if err := findLicenses(linked.modules); err != nil {
		return err
	}
	product := cdx.Component{Type: cdx.ComponentTypeApplication, Name: *name, Version: *version, PackageURL: golangURL(linked.main, *version)}
	if *image != "" {
		product.Type, product.PackageURL = cdx.ComponentTypeContainer, imageURL(*name, *version, *image)
	}
	text, err := encode(linked.bom(product))
	if err != nil {
		return err
	}
	return os.WriteFile(*out, text, 0o644)
}

// encode writes the bill with a serial number of its own, which those who attest to it ask for.
func encode(bom *cdx.BOM) ([]byte, error) {
	for range 2 {
		var text bytes.Buffer
		if err := cdx.NewBOMEncoder(&text, cdx.BOMFileFormatJSON).SetPretty(true).SetEscapeHTML(false).Encode(bom); err != nil {
			return nil, fmt.Errorf("encoding the bill of materials: %w", err)
		}
		if bom.SerialNumber != "" {
			return text.Bytes(), nil
		}
		bom.SerialNumber = serialNumber(text.Bytes())
	}
	panic("unreachable")
}
