package plugin

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
)

// The page is one file: style and script are in it, and nothing else may run or be loaded (Content-Security-Policy). The
// script only sorts tables.
var (
	//go:embed report.html.tmpl
	reportTemplate string
	//go:embed report.css
	reportStyle string
	//go:embed report.js
	reportScript string
)

// html writes the document as a page. All that a node or a server says goes through the escaping of html/template.
func (d *document) html() ([]byte, error) {
	page, err := template.New("report").Funcs(template.FuncMap{"pieces": pieces}).Parse(reportTemplate)
	if err != nil {
		return nil, fmt.Errorf("the template of the page: %w", err)
	}
	var out bytes.Buffer
	err = page.Execute(&out, map[string]any{
		"Document": d, "Style": template.CSS(reportStyle), "Script": template.JS(reportScript),
		"Policy": "default-src 'none'; style-src '" + digestOf(reportStyle) + "'; script-src '" + digestOf(reportScript) + "'; base-uri 'none'; form-action 'none'",
	})
	if err != nil {
		return nil, fmt.Errorf("writing the page: %w", err)
	}
	return out.Bytes(), nil
}

// digestOf is a text as a policy names it (CSP 3, 2.3.1).
func digestOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}
