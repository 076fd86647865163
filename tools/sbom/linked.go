package main

import (
	"cmp"
	"crypto/sha256"
	"debug/buildinfo"
	"fmt"
	"maps"
	"net/url"
	"path"
	"runtime/debug"
	"slices"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// linked is what some programs were built from.
type linked struct {
	main    string // path of the main module
	golang  string // version of Go, like 1.26.0: the standard library's
	modules []*module
	targets []string // os/arch of every program
}

// module is one of the modules that the programs were linked from.
type module struct {
	path, version string
	sum           string   // as in go.sum: h1:...
	targets       []string // os/arch of the programs that it is linked into
	licenses      []string // identifiers of SPDX
}

// readPrograms reads what Go notes in every program that it links (go version -m shows it).
func readPrograms(files []string) (*linked, error) {
	var all linked
	modules := map[string]*module{}
	for _, file := range files {
		info, err := buildinfo.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("reading what is linked into %s: %w", file, err)
		}
		golang := strings.TrimPrefix(info.GoVersion, "go")
		if all.main != "" && (all.main != info.Main.Path || all.golang != golang) {
			return nil, fmt.Errorf("%s: of %s with Go %s, the others of %s with Go %s", file, info.Main.Path, golang, all.main, all.golang)
		}
		all.main, all.golang = info.Main.Path, golang
		target := setting(info, "GOOS") + "/" + setting(info, "GOARCH")
		all.targets = append(all.targets, target)
		for _, dep := range info.Deps {
			if dep.Replace != nil {
				dep = dep.Replace
			}
			key := dep.Path + "@" + dep.Version
			m := modules[key]
			if m == nil {
				m = &module{path: dep.Path, version: dep.Version, sum: dep.Sum}
				modules[key] = m
			}
			m.targets = append(m.targets, target)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(modules)) {
		all.modules = append(all.modules, modules[key])
	}
	return &all, nil
}

func setting(info *debug.BuildInfo, key string) string {
	for _, s := range info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}

// bom is the bill of materials of a product with these modules.
func (l *linked) bom(product cdx.Component) *cdx.BOM {
	product.BOMRef = product.PackageURL
	product.Licenses = licenseChoices([]string{"MIT"})
	product.ExternalReferences = &[]cdx.ExternalReference{{Type: cdx.ERTypeVCS, URL: "https://" + l.main}}

	library := cdx.Component{
		Type: cdx.ComponentTypeLibrary, Name: "stdlib", Version: l.golang,
		PackageURL: golangURL("stdlib", l.golang), Licenses: licenseChoices([]string{"BSD-3-Clause"}),
	}
	library.BOMRef = library.PackageURL
	components := []cdx.Component{library}
	for _, m := range l.modules {
		components = append(components, m.component(len(m.targets) == len(l.targets)))
	}
	slices.SortFunc(components, func(a, b cdx.Component) int { return cmp.Compare(a.BOMRef, b.BOMRef) })

	var refs []string
	dependencies := []cdx.Dependency{{Ref: product.BOMRef, Dependencies: &refs}}
	for _, c := range components {
		refs = append(refs, c.BOMRef)
	}
	bom := cdx.NewBOM()
	bom.Metadata = &cdx.Metadata{
		Component:  &product,
		Lifecycles: &[]cdx.Lifecycle{{Phase: cdx.LifecyclePhasePostBuild}}, // read from what was built
	}
	bom.Components = &components
	bom.Dependencies = &dependencies
	return bom
}

func (m *module) component(everywhere bool) cdx.Component {
	url := golangURL(m.path, m.version)
	properties := []cdx.Property{{Name: "go.sum", Value: m.sum}}
	if !everywhere {
		properties = append(properties, cdx.Property{Name: "platforms", Value: strings.Join(m.targets, " ")})
	}
	return cdx.Component{
		BOMRef: url, Type: cdx.ComponentTypeLibrary, Name: m.path, Version: m.version, PackageURL: url,
		Licenses: licenseChoices(m.licenses), Properties: &properties,
	}
}

func licenseChoices(ids []string) *cdx.Licenses {
	var choices cdx.Licenses
	for _, id := range ids {
		choices = append(choices, cdx.LicenseChoice{License: &cdx.License{ID: id}})
	}
	return &choices
}

// golangURL is the package URL of a module: in lower case, by
// https://github.com/package-url/purl-spec/blob/main/types-doc/golang-definition.md.
func golangURL(path, version string) string {
	return "pkg:golang/" + strings.ToLower(path) + "@" + strings.ReplaceAll(version, "+", "%2B")
}

// imageURL is the package URL of an image: https://github.com/package-url/purl-spec/blob/main/types-doc/oci-definition.md.
func imageURL(repository, tag, digest string) string {
	query := url.Values{"repository_url": {repository}, "tag": {tag}}
	return "pkg:oci/" + path.Base(repository) + "@" + url.QueryEscape(digest) + "?" + query.Encode()
}

// serialNumber makes a UUID from a bill's content, of the version that is for own schemes
// (https://www.rfc-editor.org/rfc/rfc9562#section-5.8).
func serialNumber(content []byte) string {
	sum := sha256.Sum256(content)
	sum[6] = sum[6]&0x0f | 0x80
	sum[8] = sum[8]&0x3f | 0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", sum[0:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}
