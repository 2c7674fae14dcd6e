{{- define "plumb.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "plumb.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains (include "plumb.name" .) .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "plumb.name" .) | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "plumb.selector" -}}
app.kubernetes.io/name: {{ include "plumb.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "plumb.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "plumb.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "plumb.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "plumb.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "plumb.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{- /* Groups of the kinds that the operator looks at. */}}
{{- define "plumb.groups" -}}
{{- $groups := list "plumb.dev" }}
{{- range $name, $enabled := .Values.apis }}
{{- if $enabled }}
{{- $groups = append $groups (printf "%s.plumb.dev" $name) }}
{{- end }}
{{- end }}
{{- range .Values.extraApis }}
{{- $groups = append $groups (printf "%s.plumb.dev" .) }}
{{- end }}
{{- toJson $groups }}
{{- end }}

{{- /* What the operator may do where resources are. */}}
{{- define "plumb.rules" -}}
# Custom resources are read; what comes of them is written to their status, and finalizers are set.
- apiGroups: {{ include "plumb.groups" . }}
  resources: ["*"]
  verbs: [get, list, watch, patch]
# Secrets are read where resources refer to them; only those are asked for.
- apiGroups: [""]
  resources: [secrets]
  {{- with .Values.rbac.secretNames }}
  resourceNames: {{ toJson . }}
  {{- end }}
  verbs: [get, list, watch]
{{- if .Values.rbac.secretSinks }}
# What an API shows once goes to a Secret; those that plumb did not make are left alone.
- apiGroups: [""]
  resources: [secrets]
  verbs: [create, patch]
{{- end }}
# The plans of stacks.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [create, patch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}

{{- define "plumb.keySecret" -}}
{{- default (printf "%s-inventory" (include "plumb.fullname" .)) .Values.inventory.key.existingSecret }}
{{- end }}

{{- /* Whether the record is a file on a volume. */}}
{{- define "plumb.onVolume" -}}
{{- if and (not .Values.inventory.url) .Values.inventory.persistence.enabled }}yes{{ end }}
{{- end }}

{{- define "plumb.inventory" -}}
{{- if .Values.inventory.url }}
{{- .Values.inventory.url }}
{{- else if .Values.inventory.persistence.enabled }}
{{- "/var/lib/plumb/{namespace}.db" }}
{{- else }}
{{- printf "kubernetes://%s/%s" .Release.Namespace (include "plumb.fullname" .) }}
{{- end }}
{{- end }}
