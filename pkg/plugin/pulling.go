package plugin

import (
	"cmp"
	"fmt"
	"os"

	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// ImageVariable is the environment variable that names the collector image where no --image does: for clusters that pull
// from a registry of their own.
const ImageVariable = "COSANET_IMAGE"

// Pull is which image the nodes run, and how they get it. Its exported fields are flags of every command that makes pods.
type Pull struct {
	Image   string   // REPOSITORY:TAG, REPOSITORY:TAG@DIGEST or REPOSITORY@DIGEST
	Policy  string   // Always, IfNotPresent or Never
	Secrets []string // in the namespace of the pods

	variable string // what ImageVariable says, for the words of a refusal
}

// newPull is what is used unless flags say otherwise.
func newPull(build Build) Pull {
	variable := os.Getenv(ImageVariable)
	return Pull{Image: cmp.Or(variable, build.Image), Policy: string(corev1.PullIfNotPresent), variable: variable}
}

// addFlags declares the flags; pods says whose image it is.
func (p *Pull) addFlags(fs *pflag.FlagSet, pods string) {
	p.addImageFlag(fs, pods)
	fs.StringVar(&p.Policy, "image-pull-policy", p.Policy, "`WHEN` the nodes pull the image: Always, IfNotPresent or Never")
	fs.StringSliceVar(&p.Secrets, "image-pull-secret", nil, "`SECRET` to pull the image with, in the namespace of "+pods+"; may be repeated")
}

func (p *Pull) addImageFlag(fs *pflag.FlagSet, pods string) {
	fs.StringVar(&p.Image, "image", p.Image, "`IMAGE` of "+pods+"; also by "+ImageVariable)
}

// reference parses the image's name. An error names where the name is from.
func (p *Pull) reference() (reference, error) {
	if p.Image == "" {
		return reference{}, fmt.Errorf("no collector image: this build has none of its own, give one with --image or %s", ImageVariable)
	}
	r, err := parseReference(p.Image)
	switch {
	case err == nil:
		return r, nil
	case p.Image == p.variable:
		return r, fmt.Errorf("%s: %w", ImageVariable, err)
	}
	return r, fmt.Errorf("--image: %w", err)
}

// check is for what no node would take: of the image only where one is needed.
func (p *Pull) check(needed bool) error {
	switch corev1.PullPolicy(p.Policy) {
	case corev1.PullAlways, corev1.PullIfNotPresent, corev1.PullNever:
	default:
		return fmt.Errorf("unknown --image-pull-policy %q: use Always, IfNotPresent or Never", p.Policy)
	}
	for _, secret := range p.Secrets {
		if problems := validation.IsDNS1123Subdomain(secret); len(problems) > 0 {
			return fmt.Errorf("invalid --image-pull-secret %q: %s", secret, problems[0])
		}
	}
	if !needed {
		return nil
	}
	_, err := p.reference()
	return err
}

func references(secrets []string) []corev1.LocalObjectReference {
	var refs []corev1.LocalObjectReference
	for _, name := range secrets {
		refs = append(refs, corev1.LocalObjectReference{Name: name})
	}
	return refs
}
