{{/* Values that contradict each other end the rendering with a sentence. */}}
{{- define "tidegate.checks" -}}
{{- $backplane := .Values.sidecar.backplane -}}
{{- if and .Values.nats.enabled (or $backplane.url $backplane.existingSecret) -}}
{{- fail "nats.enabled brings a backplane and sidecar.backplane names another one: keep one of them" -}}
{{- end -}}
{{- if and $backplane.url $backplane.existingSecret -}}
{{- fail "sidecar.backplane.url and sidecar.backplane.existingSecret contradict each other: keep one of them" -}}
{{- end -}}
{{- range list "backplane" "backplane-secret" -}}
{{- if hasKey $.Values.sidecar.defaults . -}}
{{- fail (printf "sidecar.defaults.%s: set sidecar.backplane or nats.enabled instead" .) -}}
{{- end -}}
{{- end -}}
{{- if hasKey .Values.sidecar.defaults "inject" -}}
{{- fail "sidecar.defaults.inject: only a pod itself can ask for a sidecar" -}}
{{- end -}}
{{- $existing := .Values.certificates.existingSecret -}}
{{- if eq .Values.certificates.mode "existing-secret" -}}
{{- if not (and $existing.name $existing.caBundle) -}}
{{- fail "certificates.mode existing-secret needs certificates.existingSecret.name and .caBundle" -}}
{{- end -}}
{{- else if or $existing.name $existing.caBundle -}}
{{- fail "certificates.existingSecret is only read with certificates.mode existing-secret: set the mode, or remove it" -}}
{{- end -}}
{{- if and .Values.certificates.certManager.issuerRef (ne .Values.certificates.mode "cert-manager") -}}
{{- fail "certificates.certManager.issuerRef is only read with certificates.mode cert-manager: set the mode, or remove it" -}}
{{- end -}}
{{- if and .Values.injector.namespaceSelector .Values.injector.excludedNamespaces -}}
{{- fail "injector.namespaceSelector replaces the exclusions, so injector.excludedNamespaces would not be read: keep one of them" -}}
{{- end -}}
{{- if has .Release.Namespace .Values.operator.watchNamespaces -}}
{{- fail "operator.watchNamespaces names the release's own namespace, where the injector changes no pods" -}}
{{- end -}}
{{- $mib := include "tidegate.mib" .Values.nats.maxFileStore | int64 -}}
{{- if gt (mul 20 $mib) (mul 19 (include "tidegate.mib" .Values.nats.persistence.size | int64)) -}}
{{- fail "nats.maxFileStore is more than 95 % of nats.persistence.size, and a full volume stops NATS: raise the size, or lower maxFileStore" -}}
{{- end -}}
{{- end -}}
