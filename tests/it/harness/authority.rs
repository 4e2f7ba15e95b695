//! An authority that certifies servers and clients, for tests in which they must prove who they are.
//!
//! Guarantees that nobody else trusts it: it is made anew each time, and gone with its folder.

use std::path::PathBuf;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use tempfile::TempDir;

/// An authority and the folder with its papers.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

/// What somebody proves who they are with, each as PEM.
pub struct Papers {
    pub certificate: String,
    pub key: String,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a root certificate");
        let folder = tempfile::tempdir().expect("a folder");
        Self { issuer, folder }
    }

    /// Its own certificate.
    pub fn root(&self) -> String {
        self.issuer.pem()
    }

    /// A server by the hosts that it may be reached at.
    pub fn server(&self, hosts: &[&str]) -> Papers {
        self.issue(hosts, hosts[0], ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A client by its name.
    pub fn client(&self, name: &str) -> Papers {
        self.issue(&[], name, ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn issue(&self, hosts: &[&str], name: &str, usage: ExtendedKeyUsagePurpose) -> Papers {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(hosts).expect("parameters");
        params.distinguished_name.push(DnType::CommonName, name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Papers {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    /// Writes a text to a file that lasts as long as the authority, and says where.
    pub fn file(&self, name: &str, text: &str) -> String {
        let path: PathBuf = self.folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path.to_str().expect("a name in UTF-8").to_owned()
    }
}
