{{/* The default policy as the operator's environment: made by 'make generate'; do not edit. */}}
{{- define "tidegate.policyEnvironment" -}}
- name: TIDEGATE_BUDGET_PER_S
  value: {{ .budgetPerSecond | quote }}
- name: TIDEGATE_WINDOW_S
  value: {{ if kindIs "invalid" .windowSeconds }}""{{ else }}{{ .windowSeconds | int | quote }}{{ end }}
- name: TIDEGATE_RESERVE_S
  value: {{ if kindIs "invalid" .reserveSeconds }}""{{ else }}{{ .reserveSeconds | int | quote }}{{ end }}
- name: TIDEGATE_RETRY_MS
  value: {{ .retryMilliseconds | int | quote }}
- name: TIDEGATE_STEERING
  value: {{ ternary "on" "off" .steering | quote }}
- name: TIDEGATE_REBALANCE
  value: {{ ternary "on" "off" .rebalance | quote }}
- name: TIDEGATE_FLIP_LAG_S
  value: {{ divf .flipLagMilliseconds 1000 | quote }}
- name: TIDEGATE_FLIP_INTERVAL_S
  value: {{ divf .flipIntervalMilliseconds 1000 | quote }}
{{- end -}}
