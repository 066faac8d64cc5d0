"""The SCIM codec: each rule of the RFCs and each habit of the identity providers it is held to."""
