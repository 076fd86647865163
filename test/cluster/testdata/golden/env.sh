export KUBECONFIG='/run/example/kubeconfig'
export PATH='/run/example/bin':"$PATH"
export NO_PROXY="10.200.0.0/16${NO_PROXY:+,$NO_PROXY}"
