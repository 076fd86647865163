// Package rules holds no code: its tests prove the rules of kubectl cosanet explain. Each rule's cause is made to happen in
// network namespaces of their own, or on a virtual machine. The collector reads these, its frames go to the plugin, and the
// plugin's judgement is looked at. Neither half may link the other; here both are.
package rules
