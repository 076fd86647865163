package plugin

import (
	"cmp"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func newVersion(f *factory) *cobra.Command {
	output := outputFlags{}
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version and the collector image that belongs to it",
		Example: `  kubectl cosanet version
  kubectl cosanet version -o yaml`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			printer, err := output.printer()
			if err != nil {
				return misuse(cmd, err)
			}
			platform := runtime.GOOS + "/" + runtime.GOARCH
			if printer != nil {
				return printer.PrintObj(&unstructured.Unstructured{Object: map[string]any{
					"apiVersion": APIVersion, "kind": "Version",
					"version": f.build.Version, "image": f.build.Image, "goVersion": runtime.Version(), "platform": platform,
				}}, f.streams.Out)
			}
			_, err = fmt.Fprintf(f.streams.Out, "Version: %s\nImage: %s\nPlatform: %s %s\n",
				f.build.Version, cmp.Or(f.build.Image, "none: give one with --image"), platform, runtime.Version())
			return err
		},
	}
	output.addFormatFlag(cmd.Flags())
	return cmd
}
