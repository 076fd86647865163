package plugin

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/printers"
)

// imageQuery is the verb's flags as they were given.
type imageQuery struct {
	pull   Pull
	output outputFlags
	quiet  bool
	load   string
}

func newImage(f *factory) *cobra.Command {
	q := &imageQuery{pull: newPull(f.build)}
	cmd := &cobra.Command{
		Use:   "image",
		Short: "Print the collector image, and how to load it without a registry",
		Long: `Print the name of the image that every node needs: this plugin's own, unless
--image or COSANET_IMAGE names another. Below it comes a shell script: how nodes
that reach no registry, or a registry of your own, get the image from the
archive of the same release.`,
		Example: `  kubectl cosanet image
  kubectl cosanet image --load k3s
  kubectl cosanet image --load registry --image registry.example/cosanet:v0.1.0
  kubectl cosanet image --quiet`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			view, err := q.parse(f.build)
			if err != nil {
				return misuse(cmd, err)
			}
			return view.print(f.streams.Out)
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&q.load, "load", "", "print only how to load it by this `WAY`. One of "+strings.Join(loaderKinds(), ", "))
	fs.BoolVarP(&q.quiet, "quiet", "q", false, "print only its name")
	q.pull.addImageFlag(fs, "the collector")
	q.output.addFormatFlag(fs)
	return cmd
}

// imageView is what the verb prints.
type imageView struct {
	image   reference
	archive archive
	loaders []loader // none: the name alone
	heading bool     // the name comes first
	printer printers.ResourcePrinter
}

// parse checks the flags.
func (q *imageQuery) parse(build Build) (*imageView, error) {
	v := &imageView{loaders: loaders, heading: q.load == ""}
	var err error
	if v.image, err = q.pull.reference(); err != nil {
		return nil, err
	}
	packed, err := parseReference(cmp.Or(build.Image, q.pull.Image))
	if err != nil {
		return nil, fmt.Errorf("the image of this build: %w", err)
	}
	v.archive = newArchive(packed, v.image)
	if v.printer, err = q.output.printer(); err != nil {
		return nil, err
	}
	switch {
	case q.quiet && (q.load != "" || v.printer != nil), q.load != "" && v.printer != nil:
		return nil, errors.New("--load, --quiet and --output exclude each other")
	case q.quiet:
		v.loaders = nil
	case q.load != "":
		one, err := findLoader(q.load)
		if err != nil {
			return nil, err
		}
		v.loaders = []loader{one}
	}
	return v, nil
}

func (v *imageView) print(out io.Writer) error {
	if v.printer != nil {
		return v.printer.PrintObj(v.object(), out)
	}
	var text strings.Builder
	if v.heading {
		fmt.Fprintln(&text, v.image)
	}
	if len(v.loaders) > 1 {
		fmt.Fprintf(&text, "\n# Nodes that cannot pull it get it from an archive, %s:\n# %s\n", v.archive.file, v.archive.source)
	}
	for _, l := range v.loaders {
		if v.heading {
			fmt.Fprintln(&text)
		}
		text.WriteString(l.text(v.archive, v.image))
	}
	_, err := io.WriteString(out, text.String())
	return err
}

// object is the same for programs.
func (v *imageView) object() *unstructured.Unstructured {
	load := map[string]any{}
	for _, l := range v.loaders {
		load[l.kind] = strings.Join(l.script(v.archive), "\n")
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": APIVersion, "kind": "Image",
		"image": v.image.String(), "repository": v.image.repository, "tag": v.image.tag, "digest": v.image.digest,
		"archive": v.archive.file, "archiveSource": v.archive.source, "load": load,
	}}
}
