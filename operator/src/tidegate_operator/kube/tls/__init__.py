"""The certificate of report API and webhook.

certificates        makes an authority and certificates; reads their dates
certificate_keeper  keeps them in Secrets, in the listening context and in the webhook's caBundle
ca_rollout          brings a new authority to running pods
"""
