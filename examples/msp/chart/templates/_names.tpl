{{/* The environment variable of a secret: HAPPY_FROG_EXCH01 for happy-frog and exch01. */}}
{{- define "variable" -}}
{{ join "_" . | upper | replace "-" "_" }}
{{- end }}
