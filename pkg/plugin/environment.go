package plugin

// variable is an environment variable that changes what the plugin does.
type variable struct{ name, meaning string }

// environment lists the environment variables, whoever reads them: this package, the API machinery of kubectl, or Go.
// docs/reference.md is made of it.
func environment() []variable {
	return []variable{
		{"KUBECONFIG", "the kubeconfig files, as for kubectl; `--kubeconfig` comes before it"},
		{ImageVariable, "the collector image, for clusters that pull from a registry of their own; `--image` comes before it"},
		{"HTTPS_PROXY, HTTP_PROXY, NO_PROXY", "the proxy to the API server, where neither `--proxy-url` nor the kubeconfig names one"},
		{"NO_COLOR", "set to anything: marks in tables are not coloured; nor are they where standard output is no terminal"},
		{"TERM", "`dumb`: neither colours nor a line that tells what is waited for"},
	}
}
