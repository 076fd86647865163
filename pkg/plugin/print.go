package plugin

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/printers"
	"k8s.io/kubectl/pkg/cmd/get"
)

// outputFlags choose the shape of a view: a table, or an object in any of kubectl's formats.
type outputFlags struct {
	format    string
	noHeaders bool
	tables    []string // formats of the view's own: wide
	list      bool     // the object is a list of pods and nodes
}

// formats are the values of --output as help and errors show them.
func (o *outputFlags) formats() string {
	formats := append(slices.Clone(o.tables), "json", "yaml", "jsonpath=...", "go-template=...")
	if o.list {
		formats = append(formats, "name", "custom-columns=...")
	}
	return strings.Join(formats, ", ")
}

// short names those that are used most.
func (o *outputFlags) short() string {
	return strings.Join(append(slices.Clone(o.tables), "json or yaml"), ", ")
}

func (o *outputFlags) addFlags(fs *pflag.FlagSet) {
	o.addFormatFlag(fs)
	fs.BoolVar(&o.noHeaders, "no-headers", false, "no header line")
}

func (o *outputFlags) addFormatFlag(fs *pflag.FlagSet) {
	fs.StringVarP(&o.format, "output", "o", "", "output `FORMAT`, such as "+o.short()+". One of "+o.formats())
}

// printer parses --output. It is nil for a table.
func (o *outputFlags) printer() (printers.ResourcePrinter, error) {
	if o.format == "" || slices.Contains(o.tables, o.format) {
		return nil, nil
	}
	columns := get.CustomColumnsPrintFlags{NoHeaders: o.noHeaders}
	for _, toPrinter := range []func(string) (printers.ResourcePrinter, error){
		genericclioptions.NewJSONYamlPrintFlags().ToPrinter,
		genericclioptions.NewNamePrintFlags("").ToPrinter,
		genericclioptions.NewKubeTemplatePrintFlags().ToPrinter,
		columns.ToPrinter,
	} {
		if p, err := toPrinter(o.format); !genericclioptions.IsNoCompatiblePrinterError(err) {
			if err != nil {
				return nil, fmt.Errorf("--output: %w", err)
			}
			return p, nil
		}
	}
	return nil, fmt.Errorf("--output: unknown format %q: use %s", o.format, o.formats())
}

// byItem tells whether a list is written item by item, as no other format can be.
func (o *outputFlags) byItem() bool { return o.format == "json" || o.format == "yaml" }

// named tells whether only names are printed.
func (o *outputFlags) named() bool { return o.format == "name" }

// printList prints the list object of top.
func (o *outputFlags) printList(w io.Writer, printer printers.ResourcePrinter, list *PodNetStatsList) error {
	obj, err := object(list)
	if err != nil {
		return err
	}
	return printObject(w, printer, obj)
}

// printNames prints the names of rows as other commands of kubectl take them.
func printNames(w io.Writer, rows []*row) error {
	out := bufio.NewWriter(w)
	for _, r := range rows {
		name := "pod/" + r.Name
		switch {
		case r.host():
			name = "node/" + r.Node
		case r.group != nil && r.group.by == byWorkload:
			name = r.Name
		case r.group != nil:
			name = string(r.group.by) + "/" + r.Name
		}
		fmt.Fprintln(out, name)
	}
	return out.Flush()
}

// printObject prints an object; a list of items as a list, so that custom-columns shows one line an item.
func printObject(w io.Writer, printer printers.ResourcePrinter, obj *unstructured.Unstructured) error {
	if !obj.IsList() {
		return printer.PrintObj(obj, w)
	}
	list, err := obj.ToList()
	if err != nil {
		return err
	}
	return printer.PrintObj(list, w)
}

// nothing says that there is no pod to show, in kubectl's words.
func nothing(w io.Writer, sel *Selection) {
	if sel.Namespace == "" {
		fmt.Fprintln(w, "No resources found")
		return
	}
	fmt.Fprintf(w, "No resources found in %s namespace.\n", sel.Namespace)
}

// objectPrinter prints one object after the other, or all of them as one list where that is what can be read back.
type objectPrinter struct {
	out     io.Writer
	printer printers.ResourcePrinter
	whole   bool
	list    unstructured.UnstructuredList
}

func (p *objectPrinter) print(object *unstructured.Unstructured) error {
	if p.whole {
		p.list.Items = append(p.list.Items, *object)
		return nil
	}
	return p.printer.PrintObj(object, p.out)
}

// close prints what is printed as a whole.
func (p *objectPrinter) close() error {
	if len(p.list.Items) == 0 {
		return nil
	}
	p.list.SetAPIVersion("v1")
	p.list.SetKind("List")
	return p.printer.PrintObj(&p.list, p.out)
}
