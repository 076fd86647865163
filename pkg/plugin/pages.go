package plugin

import (
	"context"
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// pageSize is how many objects one answer of the API server holds at most, as kubectl asks for.
const pageSize = 500

// everyItem hands each item of a listing to do, one page after the other: no answer of a large cluster is too large, and no
// more than one page of it is held here. When the listing takes so long that the API server forgets its moment, the rest is
// of a later one (metav1.ListOptions.Continue): between two samples pods come and go as well.
func everyItem(ctx context.Context, list func(context.Context, metav1.ListOptions) (runtime.Object, error), opts metav1.ListOptions, do func(runtime.Object)) error {
	opts.Limit = pageSize
	for {
		var page runtime.Object
		err := patiently(ctx, func() (err error) {
			page, err = list(ctx, opts)
			return err
		})
		if next := later(err); next != "" && opts.Continue != "" {
			opts.Continue = next
			continue
		}
		if err != nil {
			return err
		}
		if err := meta.EachListItem(page, func(object runtime.Object) error {
			do(object)
			return nil
		}); err != nil {
			return err
		}
		about, err := meta.ListAccessor(page)
		if err != nil {
			return err
		}
		if opts.Continue = about.GetContinue(); opts.Continue == "" {
			return nil
		}
	}
}

// later is where a listing goes on whose moment the API server has forgotten; empty where err says something else.
func later(err error) string {
	var status apierrors.APIStatus
	if !apierrors.IsResourceExpired(err) || !errors.As(err, &status) {
		return ""
	}
	return status.Status().Continue
}
